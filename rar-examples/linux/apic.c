// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The interrupt command that carries a RAR signal: delivery mode 011b, vector 0, edge, one
 * physical destination. It goes to the APIC itself, in the mode that the processor is in: Linux
 * exports no function that sends this mode.
 */
#include <linux/cpu.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "check.h"

#define MSR_APIC_BASE		0x1b
#define APIC_BASE_ENABLED	BIT_ULL(11)
#define APIC_BASE_X2APIC	BIT_ULL(10)
#define APIC_BASE_ADDRESS	GENMASK_ULL(51, 12)

#define MSR_X2APIC_ID		0x802
#define MSR_X2APIC_COMMAND	0x830

#define XAPIC_ID		0x20
#define XAPIC_COMMAND		0x300
#define XAPIC_DESTINATION	0x310
#define XAPIC_BUSY		BIT(12)

/* A command that is busy this long never ends. */
#define MOST_POLLS		1000000

static enum apic_mode mode;
static void __iomem *page;
static u32 *ids;

struct base {
	u64 value;
	int error;
};

static void read_base(void *argument)
{
	struct base *base = argument;

	base->error = rdmsrl_safe(MSR_APIC_BASE, &base->value);
}

static void read_id(void *argument)
{
	u64 value = 0;

	if (mode == APIC_X2APIC)
		rdmsrl_safe(MSR_X2APIC_ID, &value);
	else
		value = readl(page + XAPIC_ID) >> 24;
	ids[smp_processor_id()] = value;
}

static int read_bases(u64 *address, char *why, size_t size)
{
	const u64 relevant = APIC_BASE_ADDRESS | APIC_BASE_ENABLED | APIC_BASE_X2APIC;
	struct base base = { };
	unsigned int cpu, first = cpumask_first(cpu_online_mask);
	u64 expected = 0;

	for_each_online_cpu(cpu) {
		if (smp_call_function_single(cpu, read_base, &base, 1) || base.error) {
			snprintf(why, size, "CPU %u: its APIC base cannot be read", cpu);
			return -EIO;
		}
		if (cpu == first)
			expected = base.value & relevant;
		if ((base.value & relevant) == expected && (expected & APIC_BASE_ENABLED))
			continue;
		snprintf(why, size, "CPU %u: APIC base 0x%llx, expected 0x%llx and enabled", cpu,
			 base.value & relevant, expected);
		return -ENODEV;
	}
	mode = expected & APIC_BASE_X2APIC ? APIC_X2APIC : APIC_XAPIC;
	*address = expected & APIC_BASE_ADDRESS;
	return 0;
}

int apic_open(char *why, size_t size)
{
	unsigned int cpu;
	u64 address;
	int error;

	error = read_bases(&address, why, size);
	if (error)
		return error;
	ids = kcalloc(nr_cpu_ids, sizeof(*ids), GFP_KERNEL);
	if (mode == APIC_XAPIC)
		page = ioremap(address, PAGE_SIZE);	/* uncached */
	if (!ids || (mode == APIC_XAPIC && !page)) {
		snprintf(why, size, "no memory for the APIC");
		return -ENOMEM;
	}
	for_each_online_cpu(cpu) {
		error = smp_call_function_single(cpu, read_id, NULL, 1);
		if (error) {
			snprintf(why, size, "CPU %u: its APIC id cannot be read", cpu);
			return error;
		}
	}
	return 0;
}

void apic_close(void)
{
	/* A thread that did not end may still look up an APIC. */
	if (units_are_kept())
		return;
	if (page)
		iounmap(page);
	page = NULL;
	kfree(ids);
	ids = NULL;
	mode = APIC_NONE;
}

enum apic_mode apic_mode(void)
{
	return mode;
}

u32 apic_id(unsigned int cpu)
{
	return ids[cpu];
}

static int wait_until_idle(void)
{
	unsigned int polls;

	for (polls = 0; polls < MOST_POLLS; polls++) {
		if (!(readl(page + XAPIC_COMMAND) & XAPIC_BUSY))
			return 0;
		cpu_relax();
	}
	return -EBUSY;
}

static int signal_xapic(u32 id)
{
	unsigned long flags;
	int error;

	/* No other code on this CPU may use the two halves meanwhile. */
	local_irq_save(flags);
	error = wait_until_idle();
	if (!error) {
		writel(id << 24, page + XAPIC_DESTINATION);
		writel(RAR_COMMAND, page + XAPIC_COMMAND);
	}
	local_irq_restore(flags);
	return error;
}

static int signal_x2apic(u32 id)
{
	/*
	 * This WRMSR is not serializing: without the fences it could overtake the stores to the
	 * payload and to the action bytes.
	 */
	asm volatile("mfence; lfence" ::: "memory");
	return wrmsrl_safe(MSR_X2APIC_COMMAND, (u64)id << 32 | RAR_COMMAND);
}

int apic_signal(unsigned int cpu)
{
	/* A unit that this module did not enable gets no signal. */
	if (!cpumask_test_cpu(cpu, units.enabled))
		return -EINVAL;
	return mode == APIC_X2APIC ? signal_x2apic(ids[cpu]) : signal_xapic(ids[cpu]);
}
