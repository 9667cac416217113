// SPDX-License-Identifier: MIT OR GPL-2.0
/* The units of all CPUs: their memory, their registers, and putting everything back. */
#include <linux/cpu.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "check.h"

struct units units;

static struct rar_entry *table;		/* one page, shared by all CPUs */
static u8 *vectors;			/* 64 bytes for each CPU */
static struct registers *saved;
static bool keep;

static size_t vectors_size(void)
{
	return PAGE_ALIGN((size_t)nr_cpu_ids * RAR_VECTOR_BYTES);
}

struct rar_entry *unit_entry(unsigned int slot)
{
	return table + slot;
}

u8 *unit_byte(unsigned int cpu, unsigned int slot)
{
	return vectors + (size_t)cpu * RAR_VECTOR_BYTES + slot;
}

u64 unit_vector_base(unsigned int cpu)
{
	return virt_to_phys(unit_byte(cpu, 0));
}

u64 unit_table_base(void)
{
	return virt_to_phys(table);
}

const struct registers *unit_saved(unsigned int cpu)
{
	return saved + cpu;
}

static int write_base(u32 number, u64 base)
{
	u64 read = ~base;

	return wrmsrl_safe(number, base) ?: rdmsrl_safe(number, &read) ?: read != base;
}

/*
 * On the CPU itself. Returns nonzero if a write raised #GP or a base was not taken: such a unit
 * stays disabled, since it could write into memory that is not ours.
 */
static int write_registers(u64 vector_base, u64 table_base, u64 control)
{
	/* Bases are changed only while the unit is disabled; ENABLE is written last. */
	return wrmsrl_safe(RAR_MSR_CONTROL, 0) ?:
	       write_base(RAR_MSR_ACTION_VECTOR_BASE, vector_base) ?:
	       write_base(RAR_MSR_PAYLOAD_TABLE_BASE, table_base) ?:
	       wrmsrl_safe(RAR_MSR_CONTROL, control);
}

static void enable_here(void *error)
{
	const unsigned int cpu = smp_processor_id();

	registers_read(saved + cpu);
	*(int *)error = write_registers(unit_vector_base(cpu), unit_table_base(),
					RAR_CONTROL_ENABLE | RAR_CONTROL_IGNORE_IF);
}

static void restore_here(void *error)
{
	const struct registers *before = saved + smp_processor_id();

	*(int *)error = write_registers(before->vector_base.value, before->table_base.value,
					before->control.value);
}

static int allocate(void)
{
	saved = kcalloc(nr_cpu_ids, sizeof(*saved), GFP_KERNEL);
	table = (void *)get_zeroed_page(GFP_KERNEL);
	vectors = alloc_pages_exact(vectors_size(), GFP_KERNEL | __GFP_ZERO);
	if (!saved || !table || !vectors || !zalloc_cpumask_var(&units.enabled, GFP_KERNEL))
		return -ENOMEM;
	return 0;
}

int units_enable(char *why, size_t size)
{
	unsigned int cpu;
	int error, refused = 0;

	units.slots = RAR_INFO_SLOTS(units.first.info.value);
	units.types = RAR_INFO_TYPES(units.first.info.value);
	error = allocate();
	if (error) {
		snprintf(why, size, "no memory for the units");
		return error;
	}
	for_each_online_cpu(cpu) {
		/* In the mask before the call, so that a failure puts this CPU back, too. */
		cpumask_set_cpu(cpu, units.enabled);
		error = smp_call_function_single(cpu, enable_here, &refused, 1);
		if (!error && !refused)
			continue;
		snprintf(why, size, "CPU %u: its unit cannot be enabled: a write raised #GP, or "
			 "a base reads otherwise than it was written", cpu);
		return error ?: -EIO;
	}
	return 0;
}

void units_keep(void)
{
	keep = true;
}

bool units_are_kept(void)
{
	return keep;
}

/* Returns whether a unit could still read or write our memory. */
static bool put_back(void)
{
	bool in_doubt = false;
	unsigned int cpu, slot;
	int refused = 0;

	for_each_cpu(cpu, units.enabled) {
		if (smp_call_function_single(cpu, restore_here, &refused, 1) || refused) {
			pr_err("rar_check: CPU %u: its registers could not be put back\n", cpu);
			in_doubt = true;
		}
		for (slot = 0; slot < RAR_MOST_SLOTS; slot++) {
			const u8 byte = READ_ONCE(*unit_byte(cpu, slot));

			in_doubt |= !byte_is_final(byte);
		}
	}
	return in_doubt;
}

void units_restore(void)
{
	bool in_doubt = keep;

	if (cpumask_available(units.enabled) && table && vectors && saved)
		in_doubt |= put_back();
	kfree(saved);
	saved = NULL;
	if (in_doubt) {
		/* A late unit may still answer: its memory stays its own until the next boot. */
		pr_warn("rar_check: a unit or thread did not answer; %zu bytes are kept for it\n",
			vectors_size() + PAGE_SIZE);
		return;
	}
	free_page((unsigned long)table);
	if (vectors)
		free_pages_exact(vectors, vectors_size());
	free_cpumask_var(units.enabled);
	table = NULL;
	vectors = NULL;
}
