// SPDX-License-Identifier: MIT OR GPL-2.0
/* The registers of RAR: reading them all, and what they must show. */
#include <linux/cpu.h>
#include <linux/smp.h>

#include <asm/processor.h>

#include "check.h"

static void read_one(u32 number, struct register_read *read)
{
	read->value = 0;
	read->error = rdmsrl_safe(number, &read->value);
}

void registers_read(struct registers *registers)
{
	u32 eax, ebx, ecx, edx;

	memset(registers, 0, sizeof(*registers));
	registers->has_leaf = cpuid_eax(0) >= 7;
	if (!registers->has_leaf)
		return;
	cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
	registers->cpuid_7_edx = edx;
	registers->has_core_capabilities = edx & RAR_CPUID7_EDX_CORE_CAPABILITIES;
	if (!registers->has_core_capabilities)
		return;
	read_one(RAR_MSR_CORE_CAPABILITIES, &registers->core_capabilities);
	registers->has_rar = !registers->core_capabilities.error &&
			     (registers->core_capabilities.value & RAR_CORE_CAPABILITIES_RAR);
	if (!registers->has_rar)
		return;
	read_one(RAR_MSR_CONTROL, &registers->control);
	read_one(RAR_MSR_ACTION_VECTOR_BASE, &registers->vector_base);
	read_one(RAR_MSR_PAYLOAD_TABLE_BASE, &registers->table_base);
	read_one(RAR_MSR_INFO, &registers->info);
}

static void read_here(void *registers)
{
	registers_read(registers);
}

int registers_of(unsigned int cpu, struct registers *registers)
{
	return smp_call_function_single(cpu, read_here, registers, 1);
}

static bool same(const struct register_read *a, const struct register_read *b)
{
	return a->error == b->error && a->value == b->value;
}

/* Bases and control are a matter of each CPU; the rest must be the same everywhere. */
bool registers_same_unit(const struct registers *a, const struct registers *b)
{
	return a->has_rar == b->has_rar && a->cpuid_7_edx == b->cpuid_7_edx &&
	       same(&a->core_capabilities, &b->core_capabilities) && same(&a->info, &b->info);
}

void test_enumeration(struct result *result, const void *argument)
{
	const u64 info = units.first.info.value;
	const u32 needed = BIT(RAR_INVPG) | BIT(RAR_INVPG_ANY_CR3) | BIT(RAR_INVPCID);

	if (info & RAR_INFO_RESERVED)
		result_set(result, VIOLATED, "MSR_RAR_INFO: bits 63:38 are set (got 0x%llx)", info);
	else if ((units.types & needed) != needed)
		result_set(result, OBSERVED, "%u slots, types 0x%x: some of 0 to 2 are missing",
			   units.slots, units.types);
	else
		result_set(result, HOLDS, "%u slots, types 0x%x, the same on %u CPUs", units.slots,
			   units.types, cpumask_weight(units.enabled));
}

void test_read_back(struct result *result, const void *argument)
{
	const u64 control = RAR_CONTROL_ENABLE | RAR_CONTROL_IGNORE_IF;
	struct registers read;
	unsigned int cpu;

	for_each_cpu(cpu, units.enabled) {
		if (registers_of(cpu, &read)) {
			result_set(result, NOT_RUN, "CPU %u does not answer a call", cpu);
			return;
		}
		if (read.control.value == control &&
		    read.vector_base.value == unit_vector_base(cpu) &&
		    read.table_base.value == unit_table_base())
			continue;
		result_set(result, VIOLATED,
			   "CPU %u: got 0x%llx 0x%llx 0x%llx, wrote 0x%llx 0x%llx 0x%llx", cpu,
			   read.control.value, read.vector_base.value, read.table_base.value,
			   control, unit_vector_base(cpu), unit_table_base());
		return;
	}
	result_set(result, HOLDS, "control and both bases, on each CPU");
}

/* Writes that have reserved bits. The unit is disabled meanwhile, and put back. */
struct trial {
	char letters[8];	/* G: #GP, A: accepted, I: ignored */
	bool restored;
};

static char try_write(u32 number, u64 value)
{
	u64 before = 0, after = 0;

	rdmsrl_safe(number, &before);
	if (wrmsrl_safe(number, value))
		return 'G';
	rdmsrl_safe(number, &after);
	wrmsrl_safe(number, before);
	return after == value ? 'A' : 'I';
}

static void try_reserved(void *argument)
{
	struct trial *trial = argument;
	const unsigned int cpu = smp_processor_id();
	const u64 control = RAR_CONTROL_ENABLE | RAR_CONTROL_IGNORE_IF;
	const u64 above = boot_cpu_data.x86_phys_bits < 52 ? BIT_ULL(51) : BIT_ULL(52);
	u64 read[3] = { 0 };

	wrmsrl_safe(RAR_MSR_CONTROL, 0);
	trial->letters[0] = try_write(RAR_MSR_CONTROL, BIT_ULL(0));
	trial->letters[1] = try_write(RAR_MSR_CONTROL, BIT_ULL(29));
	trial->letters[2] = try_write(RAR_MSR_CONTROL, BIT_ULL(32));
	trial->letters[3] = try_write(RAR_MSR_ACTION_VECTOR_BASE, unit_vector_base(cpu) + 32);
	trial->letters[4] = try_write(RAR_MSR_ACTION_VECTOR_BASE, unit_vector_base(cpu) | above);
	trial->letters[5] = try_write(RAR_MSR_PAYLOAD_TABLE_BASE, unit_table_base() + 64);
	trial->letters[6] = try_write(RAR_MSR_PAYLOAD_TABLE_BASE, unit_table_base() | above);
	rdmsrl_safe(RAR_MSR_ACTION_VECTOR_BASE, &read[0]);
	rdmsrl_safe(RAR_MSR_PAYLOAD_TABLE_BASE, &read[1]);
	/* With another base, the unit stays disabled: that memory may not be ours. */
	if (read[0] != unit_vector_base(cpu) || read[1] != unit_table_base())
		return;
	wrmsrl_safe(RAR_MSR_CONTROL, control);
	rdmsrl_safe(RAR_MSR_CONTROL, &read[2]);
	trial->restored = read[2] == control;
}

/*
 * Observed: no source says whether these writes raise #GP. Nothing but bases of our own memory is
 * written, and the unit is disabled.
 */
void test_reserved_bits(struct result *result, const void *argument)
{
	const unsigned int cpu = cpumask_first(units.enabled);
	struct trial trial = { };

	if (smp_call_function_single(cpu, try_reserved, &trial, 1)) {
		result_set(result, NOT_RUN, "CPU %u does not answer a call", cpu);
		return;
	}
	if (!trial.restored) {
		result_set(result, VIOLATED, "CPU %u: its registers could not be put back", cpu);
		return;
	}
	result_set(result, OBSERVED, "control bits 0, 29, 32: %.3s; vector unaligned, too high: "
		   "%.2s; table: %.2s (G is #GP, A accepted, I ignored)",
		   trial.letters, trial.letters + 3, trial.letters + 5);
}
