// SPDX-License-Identifier: MIT OR GPL-2.0
/* One request to the units of some CPUs: write the entry, arm the bytes, signal, wait. */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/ktime.h>

#include <asm/barrier.h>

#include "check.h"

/* After this many requests without an answer, the run asks nothing more. */
#define MOST_SILENCES	4

static DECLARE_BITMAP(taken, RAR_MOST_SLOTS);
static atomic64_t resignalled = ATOMIC64_INIT(0);
static atomic_t silences = ATOMIC_INIT(0);

u64 requests_resignalled(void)
{
	return atomic64_read(&resignalled);
}

bool units_are_silent(void)
{
	return atomic_read(&silences) >= MOST_SILENCES;
}

int slot_take(void)
{
	unsigned int slot;

	for (slot = 0; slot < units.slots; slot++)
		if (!test_and_set_bit(slot, taken))
			return slot;
	return -EBUSY;
}

/* A slot without an answer stays taken: a late unit may still read it. */
void slot_release(int slot, enum answer answer)
{
	if (answer != ANSWER_NONE && answer != ANSWER_UNSENT)
		clear_bit(slot, taken);
}

static void write_entry(unsigned int slot, const struct request *request)
{
	struct rar_entry *entry = unit_entry(slot);
	unsigned int i;

	WRITE_ONCE(entry->control, request->control);
	WRITE_ONCE(entry->zero, request->zero);
	WRITE_ONCE(entry->operand, request->operand);
	WRITE_ONCE(entry->address, request->address);
	for (i = 0; i < ARRAY_SIZE(entry->software); i++)
		WRITE_ONCE(entry->software[i], 0);
}

bool byte_is_final(u8 byte)
{
	/* Older texts have a state between PENDING and the end, so any other value is not final. */
	return byte == RAR_SUCCESS || byte == RAR_FAILURE;
}

static u8 byte_of(unsigned int cpu, unsigned int slot)
{
	/* Pairs with the unit's store after its flush. */
	return smp_load_acquire(unit_byte(cpu, slot));
}

/* Returns whether every byte is final by the deadline. */
static bool wait_for_all(unsigned int slot, const struct cpumask *targets)
{
	const ktime_t end = ktime_add_ms(ktime_get(), deadline_ms);
	unsigned int cpu;

	for_each_cpu(cpu, targets) {
		while (!byte_is_final(byte_of(cpu, slot))) {
			if (ktime_after(ktime_get(), end))
				return false;
			cpu_relax();
		}
	}
	return true;
}

const char *signal_fault(int error)
{
	if (error == -EIO)
		return "writing the interrupt command raised #GP: a hypervisor may refuse its "
		       "delivery mode 3";
	if (error == -EBUSY)
		return "the interrupt command of the APIC stays busy";
	return "this module did not enable its unit";
}

/* Signals a target; notes the first signal that could not be sent. */
static void signal(unsigned int cpu, struct request *request)
{
	const int error = apic_signal(cpu);

	if (!error || request->error)
		return;
	request->error = error;
	request->cpu = cpu;
}

/* Signals the targets whose bytes are not final. */
static unsigned int signal_late(unsigned int slot, struct request *request,
				const struct cpumask *targets)
{
	unsigned int cpu, late = 0;

	for_each_cpu(cpu, targets) {
		if (byte_is_final(byte_of(cpu, slot)))
			continue;
		signal(cpu, request);
		late++;
	}
	return late;
}

static enum answer judge(unsigned int slot, struct request *request, const struct cpumask *targets)
{
	enum answer answer = ANSWER_ALL_SUCCESS;
	unsigned int cpu;

	for_each_cpu(cpu, targets) {
		const u8 byte = byte_of(cpu, slot);

		if (byte == RAR_SUCCESS)
			continue;
		request->cpu = cpu;
		request->byte = byte;
		answer = ANSWER_FAILURE;
		if (byte != RAR_FAILURE)
			return ANSWER_NONE;
	}
	return answer;
}

enum answer request_send(int slot, struct request *request, const struct cpumask *targets)
{
	const ktime_t start = ktime_get();
	enum answer answer;
	unsigned int cpu, late = 0;

	write_entry(slot, request);
	request->byte = RAR_SUCCESS;
	request->error = 0;
	request->cpu = cpumask_first(targets);
	for_each_cpu(cpu, targets) {
		if (!cpumask_test_cpu(cpu, units.enabled))
			continue;
		/* Release: a unit that sees PENDING sees the entry. */
		smp_store_release(unit_byte(cpu, slot), RAR_PENDING);
	}
	for_each_cpu(cpu, targets)
		signal(cpu, request);
	if (!request->error && !wait_for_all(slot, targets)) {
		late = signal_late(slot, request, targets);
		atomic64_add(late, &resignalled);
		if (!request->error)
			wait_for_all(slot, targets);
	}
	if (request->error) {
		/* What was not asked is not answered. */
		atomic_inc(&silences);
		return ANSWER_UNSENT;
	}
	request->nanoseconds = ktime_to_ns(ktime_sub(ktime_get(), start));
	answer = judge(slot, request, targets);
	if (answer == ANSWER_NONE)
		atomic_inc(&silences);
	return answer == ANSWER_ALL_SUCCESS && late ? ANSWER_LATE : answer;
}

u8 request_wait_again(int slot, unsigned int cpu)
{
	wait_for_all(slot, cpumask_of(cpu));
	return byte_of(cpu, slot);
}
