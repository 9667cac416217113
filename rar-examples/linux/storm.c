// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * A storm beside ordinary load: initiators change random pages and flush all CPUs, while a worker
 * on each CPU reads random pages, partly with interrupts off, and allocates, frees and sleeps.
 *
 * A page's version is stored in its frame before the page is mapped to that frame, and announced
 * after the flush. A worker that reads less than what was announced before has used a stale
 * translation.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>

#include "check.h"

#define PAGES			64
#define MOST_INITIATORS		4
/* Without flushes, a stale value must be seen in this time; usually it is at once. */
#define CONTROL_MS		5000
/* Requests without success before a storm ends. */
#define MOST_FAILURES		2

enum flushes { WITH_FLUSHES, WITHOUT_FLUSHES };

struct storm {
	struct window window;
	enum flushes flushes;
	unsigned int initiators;
	unsigned int rounds;		/* of each initiator */
	ktime_t end_of_control;
	u64 announced[PAGES];
	bool stop;
	atomic_t failures, made;
	unsigned int threads;
	atomic64_t reads, bad;
	/* By the counters of the RAR machine, if it is one. */
	bool counted;
	u64 performed;
	/* Of the first request without success. */
	enum answer answer;
	unsigned int failed_cpu;
	struct completion ended;	/* by every thread */
};

struct role {
	struct storm *storm;
	unsigned int cpu, number;
};

static u32 random(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void __noreturn leave(struct role *role)
{
	struct completion *ended = &role->storm->ended;

	kfree(role);
	thread_end(ended);
}

static void read_pages(struct storm *storm, u32 *state)
{
	unsigned int i;

	for (i = 0; i < 200; i++) {
		const unsigned int page = random(state) % PAGES;
		/* Pairs with the release after the flush. */
		const u64 announced = smp_load_acquire(&storm->announced[page]);

		if (window_read(&storm->window, page) < announced)
			atomic64_inc(&storm->bad);
	}
	atomic64_add(i, &storm->reads);
}

/* Work of a kernel: memory comes and goes, mappings are flushed by interrupts, threads sleep. */
static void ordinary_work(u32 *state)
{
	void *small = kmalloc(random(state) % 4096 + 1, GFP_KERNEL);
	void *mapped = random(state) % 16 ? NULL : vmalloc(PAGE_SIZE * 4);

	if (mapped)
		memset(mapped, 1, PAGE_SIZE * 4);
	kfree(small);
	vfree(mapped);
	if (random(state) % 8 == 0)
		usleep_range(20, 200);
	cond_resched();
}

static int worker(void *data)
{
	struct role *role = data;
	struct storm *storm = role->storm;
	u32 state = role->cpu * 7919 + 1;

	while (!READ_ONCE(storm->stop)) {
		unsigned long flags;

		local_irq_save(flags);
		read_pages(storm, &state);
		local_irq_restore(flags);
		read_pages(storm, &state);
		ordinary_work(&state);
	}
	leave(role);
}

static void flush_own(const struct storm *storm, unsigned int page)
{
	asm volatile("invlpg (%0)" :: "r" (window_address(&storm->window, page)) : "memory");
}

/* Flushes a page everywhere. Own translations go by instruction. */
static enum answer flush_page(struct storm *storm, int slot, unsigned int page,
			      const struct cpumask *others, struct request *request)
{
	/* Global pages: only these two operations surely reach them. */
	request->control = page % 2 ? RAR_WORD(RAR_INVPCID, RAR_ALL_AND_GLOBALS, 0) :
				      RAR_WORD(RAR_INVPG_ANY_CR3, RAR_ALL_AND_GLOBALS, 0);
	flush_own(storm, page);
	return request_send(slot, request, others);
}

/* About as long as a flush, with pauses as a wait has them. */
static void let_others_read(void)
{
	const ktime_t end = ktime_add_us(ktime_get(), 20);

	while (!ktime_after(ktime_get(), end))
		cpu_relax();
}

static void note_failure(struct storm *storm, enum answer answer, const struct request *request)
{
	if (atomic_inc_return(&storm->failures) > 1)
		return;
	storm->answer = answer;
	storm->failed_cpu = request->cpu;
}

/* One initiator's rounds over its own pages. */
static void make_rounds(struct role *role, int slot, struct cpumask *others)
{
	struct storm *storm = role->storm;
	u64 versions[PAGES] = { 0 };
	struct request request = { };
	u32 state = role->number * 104729 + 17;
	enum answer answer = ANSWER_ALL_SUCCESS;
	unsigned int round;

	cpumask_copy(others, units.enabled);
	cpumask_clear_cpu(role->cpu, others);
	for (round = 0; round < storm->rounds && answer != ANSWER_NONE &&
			answer != ANSWER_UNSENT; round++) {
		const unsigned int each = PAGES / storm->initiators;
		const unsigned int page = random(&state) % each * storm->initiators + role->number;
		const u64 version = ++versions[page];

		if (READ_ONCE(storm->stop) || atomic_read(&storm->failures) >= MOST_FAILURES)
			break;
		WRITE_ONCE(*window_frame(&storm->window, page, version & 1), version);
		window_map(&storm->window, page, version & 1);
		if (storm->flushes == WITH_FLUSHES)
			answer = flush_page(storm, slot, page, others, &request);
		else
			let_others_read();
		if (answer != ANSWER_ALL_SUCCESS)
			note_failure(storm, answer, &request);
		if (answer == ANSWER_ALL_SUCCESS || answer == ANSWER_LATE)
			smp_store_release(&storm->announced[page], version);
		atomic_inc(&storm->made);
		cond_resched();
	}
	slot_release(slot, answer);
}

static int initiator(void *data)
{
	struct role *role = data;
	cpumask_var_t others;
	int slot = READ_ONCE(role->storm->stop) ? -ECANCELED : slot_take();

	if (slot >= 0 && alloc_cpumask_var(&others, GFP_KERNEL)) {
		make_rounds(role, slot, others);
		free_cpumask_var(others);
	}
	leave(role);
}

static int begin(struct storm *storm, int (*run)(void *), unsigned int cpu, unsigned int number)
{
	struct role *role = kmalloc(sizeof(*role), GFP_KERNEL);
	int error;

	if (!role)
		return -ENOMEM;
	*role = (struct role) { .storm = storm, .cpu = cpu, .number = number };
	error = thread_start(run, role, cpu);
	if (error)
		kfree(role);
	else
		storm->threads++;
	return error;
}

static bool rounds_are_over(struct storm *storm)
{
	if (storm->flushes == WITHOUT_FLUSHES)
		return atomic64_read(&storm->bad) || run_is_over() ||
		       ktime_after(ktime_get(), storm->end_of_control);
	return atomic_read(&storm->made) >= storm->rounds * storm->initiators ||
	       atomic_read(&storm->failures) >= MOST_FAILURES || units_are_silent() ||
	       run_is_over();
}

/* How many flushes were asked for. */
static u64 requests_of(const struct storm *storm)
{
	const u64 others = cpumask_weight(units.enabled) - 1;

	return storm->flushes == WITH_FLUSHES ? atomic_read(&storm->made) * others : 0;
}

static int run(struct storm *storm, enum flushes flushes, unsigned int rounds)
{
	const u64 before = storm->counted ? counters_performed() : 0;
	unsigned int cpu, number = 0;
	int error = 0;

	storm->flushes = flushes;
	storm->rounds = rounds / storm->initiators;
	storm->stop = false;
	init_completion(&storm->ended);
	atomic_set(&storm->made, 0);
	storm->threads = 0;
	atomic64_set(&storm->bad, 0);
	atomic64_set(&storm->reads, 0);
	for_each_cpu(cpu, units.enabled)
		error = error ?: begin(storm, worker, cpu, 0);
	for_each_cpu(cpu, units.enabled)
		if (number < storm->initiators)
			error = error ?: begin(storm, initiator, cpu, number++);
	while (!error && !rounds_are_over(storm))
		msleep(20);
	WRITE_ONCE(storm->stop, true);
	/* Threads look at `stop` before each round, and a round ends by its deadlines. */
	if (!threads_ended(&storm->ended, storm->threads)) {
		storm->window.in_use = true;
		return -ETIMEDOUT;
	}
	if (storm->counted)
		storm->performed = counters_await(before + requests_of(storm)) - before;
	return error;
}

static void start_over(struct storm *storm)
{
	unsigned int page;

	for (page = 0; page < PAGES; page++) {
		storm->announced[page] = 0;
		*window_frame(&storm->window, page, 0) = 0;
		*window_frame(&storm->window, page, 1) = 0;
		window_map(&storm->window, page, 0);
	}
	flush_everything();
}

static void judge(struct storm *storm, struct result *result, u64 shown)
{
	static const char * const answers[] = {
		[ANSWER_FAILURE] = "answered FAILURE",
		[ANSWER_LATE] = "lost a signal, or was late: SUCCESS only after a second one",
		[ANSWER_NONE] = "did not answer",
		[ANSWER_UNSENT] = "could not be signalled",
	};
	const u64 bad = atomic64_read(&storm->bad), reads = atomic64_read(&storm->reads);
	const int made = atomic_read(&storm->made);

	result->initiators = storm->initiators;
	if (bad)
		result_set(result, VIOLATED, "%llu of %llu reads were stale in %d rounds", bad,
			   reads, made);
	else if (atomic_read(&storm->failures))
		result_set(result, VIOLATED, "CPU %u %s, in round %d", storm->failed_cpu,
			   answers[storm->answer], made);
	else if (storm->counted && storm->performed < requests_of(storm))
		result_set(result, VIOLATED, "%llu flushes in %d rounds by the counters of the RAR "
			   "machine, expected %llu", storm->performed, made, requests_of(storm));
	else if (!made || !reads || made < storm->rounds * storm->initiators)
		result_set(result, NOT_RUN, "ended after %d of %u rounds", made,
			   storm->rounds * storm->initiators);
	else
		result_set(result, HOLDS,
			   "%d rounds by %u initiators, %llu reads on %u CPUs, 0 bad "
			   "(without flushes: %llu bad)", made, storm->initiators, reads,
			   cpumask_weight(units.enabled), shown);
}

void test_storm(struct result *result, const void *argument)
{
	struct storm *storm;
	u64 shown;

	if (cpumask_weight(units.enabled) < 2 || units_are_silent()) {
		result_set(result, NOT_RUN, units_are_silent() ? "four requests got no answer" :
								 "needs two CPUs");
		return;
	}
	storm = kzalloc(sizeof(*storm), GFP_KERNEL);
	if (!storm || window_open(&storm->window, PAGES, PAGES_GLOBAL)) {
		kfree(storm);
		result_set(result, NOT_RUN, "no memory");
		return;
	}
	/* Each has a slot of its own. */
	storm->initiators = min3(cpumask_weight(units.enabled), units.slots,
				 (unsigned int)MOST_INITIATORS);
	storm->counted = counters_present();
	start_over(storm);
	storm->end_of_control = ktime_add_ms(ktime_get(), CONTROL_MS);
	if (run(storm, WITHOUT_FLUSHES, UINT_MAX)) {
		result_set(result, NOT_RUN, "threads do not start or end");
		goto close;
	}
	shown = atomic64_read(&storm->bad);
	start_over(storm);
	if (!shown)
		result_set(result, NOT_RUN, "no stale value was shown in %d rounds without flushes",
			   atomic_read(&storm->made));
	else if (run(storm, WITH_FLUSHES, storm_rounds))
		result_set(result, NOT_RUN, "threads do not start or end");
	else
		judge(storm, result, shown);
close:
	window_close(&storm->window);
	if (!storm->window.in_use)
		kfree(storm);
}
