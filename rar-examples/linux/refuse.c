// SPDX-License-Identifier: MIT OR GPL-2.0
/* Which machines are not tested. Nothing is written before all of this has been asked. */
#include <linux/cpu.h>
#include <linux/security.h>

#include <asm/processor.h>

#include "check.h"

/* Models that are said to have RAR. The bit is model specific, so the bit alone is not enough. */
static const u8 listed_models[] = {
	0x8f,	/* Sapphire Rapids */
	0xcf,	/* Emerald Rapids */
};

static bool listed(const struct cpuinfo_x86 *cpu)
{
	unsigned int i;

	if (cpu->x86_vendor != X86_VENDOR_INTEL || cpu->x86 != 6)
		return false;
	for (i = 0; i < ARRAY_SIZE(listed_models); i++)
		if (cpu->x86_model == listed_models[i])
			return true;
	return false;
}

static int refuse_without_rar(const struct registers *first, char *why, size_t size)
{
	if (!first->has_leaf || !first->has_core_capabilities)
		snprintf(why, size,
			 "no RAR: CPUID leaf 7 EDX bit 30 is clear, so the processor has no "
			 "IA32_CORE_CAPABILITIES");
	else if (first->core_capabilities.error)
		snprintf(why, size,
			 "no RAR: IA32_CORE_CAPABILITIES (0xcf) raises #GP though CPUID has it");
	else if (!first->has_rar)
		snprintf(why, size,
			 "no RAR: IA32_CORE_CAPABILITIES bit 1 is clear (got 0x%llx)",
			 first->core_capabilities.value);
	else if (first->control.error || first->vector_base.error || first->table_base.error ||
		 first->info.error)
		snprintf(why, size,
			 "no RAR: one of 0xed to 0xf0 raises #GP though bit 1 of 0xcf is set");
	else
		return 0;
	return -ENODEV;
}

static int refuse_cpu(unsigned int cpu, const struct registers *first, char *why, size_t size)
{
	struct registers here;

	if (registers_of(cpu, &here)) {
		snprintf(why, size, "CPU %u does not answer a call", cpu);
		return -EIO;
	}
	if (!registers_same_unit(first, &here)) {
		snprintf(why, size,
			 "CPUs disagree: CPU %u has 0xcf 0x%llx, 0xf0 0x%llx; the first CPU has "
			 "0x%llx, 0x%llx; update firmware and microcode", cpu,
			 here.core_capabilities.value, here.info.value,
			 first->core_capabilities.value, first->info.value);
		return -ENODEV;
	}
	if ((here.control.value & RAR_CONTROL_ENABLE) && !ignore_enabled) {
		snprintf(why, size,
			 "RAR is in use: CPU %u has MSR_RAR_CONTROL 0x%llx, so this kernel or the "
			 "firmware uses it; if the kernel does not, use ignore_enabled=1", cpu,
			 here.control.value);
		return -EBUSY;
	}
	return 0;
}

int refuse(char *why, size_t size)
{
	const struct cpuinfo_x86 *model = &boot_cpu_data;
	unsigned int cpu;
	int error;

	if (security_locked_down(LOCKDOWN_MSR)) {
		snprintf(why, size, "the kernel is locked down: registers must not be written; "
			 "boot without lockdown to run this");
		return -EPERM;
	}
	cpu = cpumask_first(cpu_online_mask);
	error = registers_of(cpu, &units.first);
	if (error) {
		snprintf(why, size, "CPU %u does not answer a call (error %d)", cpu, error);
		return error;
	}
	error = refuse_without_rar(&units.first, why, size);
	if (error)
		return error;
	if (!listed(model) && !any_model) {
		snprintf(why, size, "family %u model 0x%x is not listed as one that has RAR "
			 "(expected Intel 6, 0x8f or 0xcf); use any_model=1 to try it",
			 model->x86, model->x86_model);
		return -ENODEV;
	}
	for_each_online_cpu(cpu) {
		error = refuse_cpu(cpu, &units.first, why, size);
		if (error)
			return error;
	}
	return 0;
}
