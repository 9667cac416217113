// SPDX-License-Identifier: MIT OR GPL-2.0
/* Stale before, new after: each operation that a driver uses, on each CPU with interrupts off. */
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include <asm/processor-flags.h>
#include <asm/special_insns.h>

#include "check.h"

/* A TLB may drop a translation at any time, so a control that is not seen is tried again. */
#define MOST_ATTEMPTS	40
/* Each attempt settles longer than the one before, so that the first ones are short. */
#define SETTLE_US(tries)	min((tries) * 1000, 20000U)
/* Attempts that show what happens without a flush. */
#define UNFLUSHED	10
/* Targets that fail before a test ends early. */
#define MOST_FAILURES	2

#define OLD	0x01d01d01d01d01dULL
#define NEW	0x0e30e30e30e30e3ULL

enum certainty {
	DOCUMENTED,	/* the new value must be seen */
	OPEN,		/* no source says whether it is */
	OPEN_OPERAND,	/* nor whether the unit refuses the operand */
};

struct stale_case {
	u64 control;
	enum globals globals;
	enum certainty certainty;
	unsigned int pages;	/* of the entry: the last one is looked at */
	enum { NO_OPERAND, OWN_CR3, OWN_PCID } operand;
};

#define CASE(name, type, subtype, count, which, how_certain, what)	\
	const struct stale_case name = {				\
		.control = RAR_WORD(type, subtype, count),		\
		.pages = count, .globals = which,			\
		.certainty = how_certain, .operand = what,		\
	}

CASE(invpg_cr3, RAR_INVPG, RAR_ADDRESS, 1, PAGES_NOT_GLOBAL, DOCUMENTED, OWN_CR3);
CASE(invpg_page, RAR_INVPG_ANY_CR3, RAR_ADDRESS, 1, PAGES_NOT_GLOBAL, DOCUMENTED, NO_OPERAND);
CASE(invpg_all, RAR_INVPG_ANY_CR3, RAR_ALL_AND_GLOBALS, 0, PAGES_GLOBAL, DOCUMENTED, NO_OPERAND);
CASE(invpg_local, RAR_INVPG_ANY_CR3, RAR_ALL_BUT_GLOBALS, 0, PAGES_NOT_GLOBAL, DOCUMENTED,
     NO_OPERAND);
CASE(invpcid_page, RAR_INVPCID, RAR_ADDRESS, 1, PAGES_NOT_GLOBAL, DOCUMENTED, OWN_PCID);
CASE(invpcid_one, RAR_INVPCID, RAR_ONE_PCID, 0, PAGES_NOT_GLOBAL, DOCUMENTED, OWN_PCID);
CASE(invpcid_all, RAR_INVPCID, RAR_ALL_AND_GLOBALS, 0, PAGES_GLOBAL, DOCUMENTED, NO_OPERAND);
CASE(invpcid_local, RAR_INVPCID, RAR_ALL_BUT_GLOBALS, 0, PAGES_NOT_GLOBAL, DOCUMENTED, NO_OPERAND);
CASE(range_63, RAR_INVPCID, RAR_ADDRESS, RAR_MOST_PAGES, PAGES_NOT_GLOBAL, DOCUMENTED, OWN_PCID);
/* Do these reach a global page? */
CASE(invpg_global_page, RAR_INVPG_ANY_CR3, RAR_ADDRESS, 1, PAGES_GLOBAL, OPEN, NO_OPERAND);
CASE(invpcid_local_global, RAR_INVPCID, RAR_ALL_BUT_GLOBALS, 0, PAGES_GLOBAL, OPEN, NO_OPERAND);

struct tally {
	unsigned int shown, flushed, kept, refused, failures, attempts;
};

static void describe(struct result *result, const struct attempt *attempt,
		     const struct flush *flush)
{
	const unsigned int cpu = attempt->cpu;

	switch (flush->answer) {
	case ANSWER_FAILURE:
		result_set(result, VIOLATED, "CPU %u: got FAILURE (0x80), expected SUCCESS", cpu);
		break;
	case ANSWER_LATE:
		result_set(result, VIOLATED, "CPU %u: a signal was lost, or late: PENDING for "
			   "%u ms, SUCCESS after a second signal", cpu, deadline_ms);
		break;
	case ANSWER_NONE:
		result_set(result, VIOLATED, "CPU %u with interrupts off: byte 0x%02x after %u ms "
			   "and two signals; with interrupts on: 0x%02x%s", cpu,
			   flush->request.byte, 2 * deadline_ms, flush->with_interrupts,
			   flush->with_interrupts == RAR_SUCCESS ? ": it heeds IF" : "");
		break;
	case ANSWER_UNSENT:
		result_set(result, VIOLATED, "CPU %u: no signal could be sent: %s",
			   flush->request.cpu, signal_fault(flush->request.error));
		break;
	case ANSWER_ALL_SUCCESS:
		if (flush->unperformed)
			result_set(result, VIOLATED, "CPU %u: SUCCESS without a flush: the "
				   "counters of the RAR machine have none", cpu);
		else
			result_set(result, VIOLATED, "CPU %u: SUCCESS without a flush: still "
				   "0x%llx, expected 0x%llx", cpu, attempt->after, NEW);
		break;
	}
	result->first_initiator = raw_smp_processor_id();
}

/* Returns whether a unit that answered SUCCESS may have kept the translation. */
static bool may_keep(enum certainty certainty, const struct flush *flush)
{
	return certainty == OPEN_OPERAND || (certainty == OPEN && !flush->unperformed);
}

/* One target, until its control is seen. */
static int try_target(const struct stale_case *wanted, struct window *window, unsigned int cpu,
		      struct tally *tally, struct result *result)
{
	struct attempt attempt = { .cpu = cpu, .page = window->pages - 1 };
	struct flush flush = {
		.asked = ASK_FLUSH,
		.request = { .control = wanted->control },
		.own_cr3 = wanted->operand == OWN_CR3,
		.own_pcid = wanted->operand == OWN_PCID,
		.counted = counters_present(),
	};
	unsigned int tries;
	int error;

	if (wanted->pages)
		flush.request.address = window_address(window, 0);
	for (tries = 0; tries < MOST_ATTEMPTS && !run_is_over(); tries++) {
		attempt.settle_us = SETTLE_US(tries);
		error = attempt_run(&attempt, window, &flush);
		if (error)
			return error;
		tally->attempts++;
		if (!flush.sent || !attempt.interrupts_off)
			continue;
		/* A target that gave up before the answer saw nothing that counts. */
		if (attempt.expired && flush.answer == ANSWER_ALL_SUCCESS)
			continue;
		tally->shown++;
		if (flush.answer == ANSWER_ALL_SUCCESS && attempt.after == NEW &&
		    !flush.unperformed) {
			tally->flushed++;
		} else if (flush.answer == ANSWER_ALL_SUCCESS &&
			   may_keep(wanted->certainty, &flush)) {
			tally->kept++;
		} else if (flush.answer == ANSWER_FAILURE && wanted->certainty == OPEN_OPERAND) {
			tally->refused++;
		} else {
			tally->failures++;
			describe(result, &attempt, &flush);
		}
		return 0;
	}
	return 0;
}

static int try_targets(const struct stale_case *wanted, struct window *window, struct tally *tally,
		       struct result *result)
{
	const unsigned int initiator = cpumask_first(units.enabled);
	unsigned int cpu;
	int error;

	for_each_cpu(cpu, units.enabled) {
		if (tally->failures >= MOST_FAILURES || units_are_silent() || run_is_over())
			break;
		/* The first CPU initiates; the second one does for the first. */
		error = initiate_on(cpu == initiator ? cpumask_last(units.enabled) : initiator);
		if (!error)
			error = try_target(wanted, window, cpu, tally, result);
		if (error)
			return error;
	}
	return 0;
}

static int fill_window(struct window *window, const struct stale_case *wanted)
{
	unsigned int i;
	int error = window_open(window, wanted->pages ?: 1, wanted->globals);

	for (i = 0; !error && i < window->pages; i++) {
		*window_frame(window, i, 0) = OLD;
		*window_frame(window, i, 1) = NEW;
	}
	return error;
}

/* Which bits of CR3 a unit compares is unknown, so with a PCID in it anything may be right. */
static enum certainty certainty_of(const struct stale_case *wanted)
{
	return wanted->operand == OWN_CR3 && (__read_cr4() & X86_CR4_PCIDE) ? OPEN_OPERAND :
									     wanted->certainty;
}

static void test_case(struct result *result, const struct stale_case *wanted)
{
	const unsigned int targets = cpumask_weight(units.enabled);
	struct tally tally = { };
	struct window window;
	int error;

	if (targets < 2) {
		result_set(result, NOT_RUN, "needs two CPUs");
		return;
	}
	if (wanted->certainty == OPEN && counters_present()) {
		result_set(result, NOT_RUN, "world switches of this machine flush as well, so a "
			   "new value shows nothing");
		return;
	}
	if (!(units.types >> (wanted->control >> 8 & 0xff) & 1)) {
		result_set(result, NOT_RUN, "MSR_RAR_INFO does not have this type");
		return;
	}
	error = fill_window(&window, wanted);
	if (error) {
		result_set(result, NOT_RUN, "no pages: error %d", error);
		return;
	}
	result->initiators = 2;
	error = try_targets(wanted, &window, &tally, result);
	window_close(&window);
	if (tally.failures)
		result_add(result, " (%u of %u targets)", tally.failures, tally.shown);
	else if (error)
		result_set(result, NOT_RUN, "error %d after %u targets", error, tally.shown);
	else if (!tally.shown && units_are_silent())
		result_set(result, NOT_RUN, "four requests got no answer");
	else if (!tally.shown)
		result_set(result, NOT_RUN, "stale value not shown in %u attempts: no control",
			   tally.attempts);
	else if (tally.shown < targets)
		result_set(result, NOT_RUN, "stale before, answered on %u of %u targets only: %s",
			   tally.shown, targets, run_is_over() ? "the run ended meanwhile" :
			   "no stale value was shown on the others");
	else if (wanted->certainty == OPEN_OPERAND)
		result_set(result, OBSERVED, "PCIDs are on, and no source says which bits of CR3 "
			   "are compared: %u targets flushed, %u kept it, %u answered FAILURE",
			   tally.flushed, tally.kept, tally.refused);
	else if (wanted->certainty == OPEN)
		result_set(result, OBSERVED, "SUCCESS; %u targets flushed, %u kept it",
			   tally.flushed, tally.kept);
	else
		result_set(result, HOLDS,
			   "stale before, new after on %u of %u targets, %u attempts",
			   tally.flushed, targets, tally.attempts);
}

void test_stale(struct result *result, const void *argument)
{
	struct stale_case wanted = *(const struct stale_case *)argument;

	wanted.certainty = certainty_of(&wanted);
	test_case(result, &wanted);
}

/* Without a flush the stale value must stay: else a new value after a flush proves nothing. */
void test_unflushed(struct result *result, const void *argument)
{
	struct flush flush = { .asked = ASK_NOTHING };
	struct attempt attempt = { };
	unsigned int cpu, tries, shown = 0, stayed = 0;
	struct window window;

	if (cpumask_weight(units.enabled) < 2) {
		result_set(result, NOT_RUN, "needs two CPUs");
		return;
	}
	if (fill_window(&window, &invpcid_all)) {
		result_set(result, NOT_RUN, "no pages");
		return;
	}
	cpu = cpumask_last(units.enabled);
	attempt.cpu = cpu;
	if (initiate_on(cpumask_first(units.enabled))) {
		result_set(result, NOT_RUN, "the thread cannot be moved");
		goto close;
	}
	for (tries = 0; tries < MOST_ATTEMPTS && shown < UNFLUSHED && !run_is_over(); tries++) {
		attempt.settle_us = SETTLE_US(tries);
		if (attempt_run(&attempt, &window, &flush))
			break;
		if (attempt.stale != OLD || attempt.expired)
			continue;
		shown++;
		stayed += attempt.after == OLD;
	}
	result->initiators = 1;
	if (stayed)
		result_set(result, HOLDS, "still stale after 1 ms in %u of %u attempts", stayed,
			   shown);
	else
		result_set(result, NOT_RUN, "stale value gone without a flush (%u of %u attempts): "
			   "new values below prove little", shown, tries);
close:
	window_close(&window);
}
