// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * What the RAR machine of this project counts of its units, by CPUID. Its CPUs are guests, and a
 * world switch may empty a TLB, so a load cannot show there what a unit left undone: the counters
 * do. A processor has no such leaves, and its TLB needs none.
 */
#include <linux/ktime.h>

#include <asm/processor.h>

#include "check.h"

#define COUNTER_LEAF	0x40000101
#define LAYOUT		1
/* Sub-leaf: entries that were performed. */
#define PERFORMED	6

bool counters_present(void)
{
	struct identity identity;
	u32 eax, ebx, ecx, edx;

	identity_read(&identity);
	if (!identity.shim)
		return false;
	cpuid_count(COUNTER_LEAF, 0, &eax, &ebx, &ecx, &edx);
	return eax == LAYOUT && ebx >= PERFORMED;
}

/* Of all CPUs, since the machine began. */
u64 counters_performed(void)
{
	u32 eax, ebx, ecx, edx;

	cpuid_count(COUNTER_LEAF, PERFORMED, &eax, &ebx, &ecx, &edx);
	return (u64)edx << 32 | ecx;
}

/* Waits for a count: a unit stores its answer before it counts. Returns the last count. */
u64 counters_await(u64 count)
{
	const ktime_t end = ktime_add_ms(ktime_get(), deadline_ms);
	u64 performed = counters_performed();

	while (performed < count && !ktime_after(ktime_get(), end)) {
		cpu_relax();
		performed = counters_performed();
	}
	return performed;
}
