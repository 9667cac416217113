// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * How a unit answers entries that have no documented meaning. A valid entry is asked first: its
 * answer must be SUCCESS. The others are observed, since no source says what a unit answers.
 */
#include <linux/smp.h>

#include <asm/cpufeature.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>

#include "check.h"

#define FULL	RAR_WORD(RAR_INVPCID, RAR_ALL_AND_GLOBALS, 0)

static const struct oddity {
	const char *name;
	struct request request;
} oddities[] = {
	{ "type 9", { .control = RAR_WORD(9, 0, 1) } },
	{ "INVPCID subtype 4", { .control = RAR_WORD(RAR_INVPCID, 4, 0) } },
	{ "INVPG subtype 1", { .control = RAR_WORD(RAR_INVPG_ANY_CR3, 1, 0) } },
	{ "bit 16", { .control = FULL | BIT_ULL(16) } },
	{ "bit 63", { .control = FULL | BIT_ULL(63) } },
	{ "word 1", { .control = FULL, .zero = 1 } },
	/* Fields that a flush of everything does not use. */
	{ "unused page count", { .control = FULL | RAR_WORD(0, 0, RAR_MOST_PAGES) } },
	{ "unused address", { .control = FULL, .address = PAGE_SIZE } },
};

/* Signals that may be lost before a test ends: each costs a deadline. */
#define MOST_LOST	2

/* Returns whether a test goes on, which began after this number of signals sent again. */
static bool goes_on(u64 resignalled)
{
	return !units_are_silent() && !run_is_over() &&
	       requests_resignalled() - resignalled < MOST_LOST;
}

static char letter(enum answer answer)
{
	switch (answer) {
	case ANSWER_ALL_SUCCESS:
		return 'S';
	case ANSWER_FAILURE:
		return 'F';
	case ANSWER_LATE:
		return 'L';
	case ANSWER_UNSENT:
		return 'U';
	case ANSWER_NONE:
		break;
	}
	return 'P';
}

/* Asks the last CPU; the initiator is the first. */
static enum answer ask(struct request request)
{
	enum answer answer;
	int slot = slot_take();

	if (slot < 0)
		return ANSWER_NONE;
	answer = request_send(slot, &request, cpumask_of(cpumask_last(units.enabled)));
	slot_release(slot, answer);
	return answer;
}

/* Returns whether the rest can be asked. */
static bool prepare(struct result *result)
{
	const struct request valid = { .control = FULL };
	const bool counted = counters_present();
	u64 performed;
	enum answer answer;

	if (cpumask_weight(units.enabled) < 2) {
		result_set(result, NOT_RUN, "needs two CPUs");
		return false;
	}
	if (!odd_entries && !boot_cpu_has(X86_FEATURE_HYPERVISOR)) {
		result_set(result, NOT_RUN, "no public source says what a processor does with such "
			   "entries; use odd_entries=1");
		return false;
	}
	if (units_are_silent()) {
		result_set(result, NOT_RUN, "four requests got no answer");
		return false;
	}
	if (initiate_on(cpumask_first(units.enabled))) {
		result_set(result, NOT_RUN, "the thread cannot be moved");
		return false;
	}
	result->initiators = 1;
	performed = counted ? counters_performed() : 0;
	answer = ask(valid);
	if (answer == ANSWER_ALL_SUCCESS) {
		if (!counted || counters_await(performed + 1) > performed)
			return true;
		result_set(result, VIOLATED, "a valid entry: SUCCESS without a flush: the counters "
			   "of the RAR machine have none");
		return false;
	}
	result_set(result, VIOLATED, "a valid entry is answered by %c, expected S "
		   "(F is FAILURE, L SUCCESS after a second signal, U a signal that could "
		   "not be sent, P nothing)", letter(answer));
	result->first_initiator = raw_smp_processor_id();
	return false;
}

void test_answers(struct result *result, const void *argument)
{
	const u64 resignalled = requests_resignalled();
	unsigned int i;

	if (!prepare(result))
		return;
	result_set(result, OBSERVED, "valid S");
	for (i = 0; i < ARRAY_SIZE(oddities) && goes_on(resignalled); i++)
		result_add(result, "; %s %c", oddities[i].name,
			   letter(ask(oddities[i].request)));
	if (goes_on(resignalled) && !(__read_cr4() & X86_CR4_PCIDE)) {
		const struct request pcid = {
			.control = RAR_WORD(RAR_INVPCID, RAR_ONE_PCID, 0), .operand = 5,
		};

		result_add(result, "; PCID 5 without PCIDs %c", letter(ask(pcid)));
	}
	if (!goes_on(resignalled))
		result_add(result, "; ended early");
}

void test_types(struct result *result, const void *argument)
{
	const u64 resignalled = requests_resignalled();
	unsigned int type;

	if (!prepare(result))
		return;
	result_set(result, OBSERVED, "types 6 to 15 ");
	for (type = 6; type < 16 && goes_on(resignalled); type++) {
		const struct request request = { .control = RAR_WORD(type, 0, 1) };

		result_add(result, "%c", letter(ask(request)));
	}
	if (!goes_on(resignalled))
		result_add(result, "; ended early");
}
