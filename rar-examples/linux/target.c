// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * One attempt with a target that spins with interrupts off: it reads the old value, sees it once
 * more after the translation was changed (the positive control), and reads again after the flush.
 */
#include <linux/completion.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>
#include <linux/preempt.h>
#include <linux/slab.h>

#include <asm/barrier.h>
#include <asm/special_insns.h>

#include "check.h"

/* Each step is made by one side and awaited by the other. */
enum step { BEGIN, READ_OLD, CHANGED, READ_STALE, FLUSHED };

/* Longer than a flush takes. */
#define UNFLUSHED_US	1000

/*
 * Seconds. Some clocks stand still, or wrap, while the CPU that keeps the time has interrupts off.
 */
#define MOST_POLLS	50000000

/* What both sides use. It is not on a stack: a target that does not end may keep it. */
struct spin {
	struct attempt attempt;
	struct window window;
	enum step step;
	bool given_up;		/* by the initiator: the target waits for nothing more */
	struct completion ended;
};

/* Without interrupts longer than a request can take: two deadlines, and one more. */
static ktime_t deadline(unsigned int times)
{
	return ktime_add_ms(ktime_get(), (u64)times * deadline_ms);
}

static bool await(struct spin *spin, enum step step, ktime_t end)
{
	unsigned int polls = 0;

	/* Pairs with the release in `announce`. */
	while (smp_load_acquire(&spin->step) != step) {
		if (READ_ONCE(spin->given_up) || ktime_after(ktime_get(), end) ||
		    ++polls > MOST_POLLS)
			return false;
		cpu_relax();
	}
	return true;
}

static void announce(struct spin *spin, enum step step)
{
	smp_store_release(&spin->step, step);
}

static void wait_us(unsigned int us)
{
	const ktime_t end = ktime_add_us(ktime_get(), us);
	unsigned int polls = 0;

	while (!ktime_after(ktime_get(), end) && ++polls <= MOST_POLLS)
		cpu_relax();
}

static void spin_with_interrupts_off(struct spin *spin)
{
	struct attempt *attempt = &spin->attempt;
	unsigned long flags;
	ktime_t end;

	local_irq_save(flags);
	attempt->interrupts_off = irqs_disabled();
	wait_us(attempt->settle_us);
	end = deadline(3);
	attempt->cr3 = __read_cr3();
	attempt->before = window_read(attempt->window, attempt->page);
	announce(spin, READ_OLD);
	attempt->expired = !await(spin, CHANGED, end);
	if (!attempt->expired) {
		attempt->stale = window_read(attempt->window, attempt->page);
		announce(spin, READ_STALE);
		attempt->expired = !await(spin, FLUSHED, end);
		attempt->after = window_read(attempt->window, attempt->page);
	}
	local_irq_restore(flags);
}

static int target(void *data)
{
	struct spin *spin = data;

	/* A CPU that was busy for long runs this when its initiator has given it up. */
	if (!READ_ONCE(spin->given_up))
		spin_with_interrupts_off(spin);
	thread_end(&spin->ended);
}

static void ask(struct spin *spin, struct flush *flush, int slot)
{
	const struct attempt *attempt = &spin->attempt;

	if (flush->asked == ASK_NOTHING) {
		wait_us(UNFLUSHED_US);
		return;
	}
	if (flush->own_cr3)
		flush->request.operand = attempt->cr3;
	if (flush->own_pcid)
		flush->request.operand = attempt->cr3 & 0xfff;
	flush->sent = true;
	flush->answer = request_send(slot, &flush->request, cpumask_of(attempt->cpu));
}

/* The initiator's side, from the moment when the target has read. */
static void initiate(struct spin *spin, struct window *window, struct flush *flush, int slot)
{
	struct attempt *attempt = &spin->attempt;
	const u64 old = *window_frame(window, attempt->page, 0);
	bool answered = false;

	/* An interrupt here may wait for the target: the target then gives up, which is seen. */
	preempt_disable();
	/* A thread that was moved to the target's CPU would wait for a target that cannot run. */
	if (raw_smp_processor_id() != attempt->cpu && await(spin, READ_OLD, deadline(2))) {
		window_map(window, attempt->page, 1);
		announce(spin, CHANGED);
		answered = await(spin, READ_STALE, deadline(2));
		/* No control, no flush: a new value would prove nothing. */
		if (answered && attempt->stale == old)
			ask(spin, flush, slot);
		announce(spin, FLUSHED);
	}
	if (!answered)
		WRITE_ONCE(spin->given_up, true);
	preempt_enable();
}

static int run(struct spin *spin, struct window *window, struct flush *flush, int slot)
{
	struct attempt *attempt = &spin->attempt;
	const u64 performed = flush->counted ? counters_performed() : 0;
	int error;

	window_map(window, attempt->page, 0);
	flush_everything();
	error = thread_start(target, spin, attempt->cpu);
	if (error)
		return error;
	initiate(spin, window, flush, slot);
	if (!threads_ended(&spin->ended, 1)) {
		window->in_use = true;
		return -ETIMEDOUT;
	}
	/* The target ran on after its unit's work, so the work is counted. */
	if (flush->sent && flush->counted && flush->answer == ANSWER_ALL_SUCCESS)
		flush->unperformed = counters_performed() == performed;
	if (flush->sent && flush->answer == ANSWER_NONE)
		flush->with_interrupts = request_wait_again(slot, attempt->cpu);
	return 0;
}

/* Returns 0 if the target ran, whatever it saw. */
int attempt_run(struct attempt *attempt, struct window *window, struct flush *flush)
{
	const int slot = slot_take();
	struct spin *spin;
	int error;

	if (slot < 0)
		return slot;
	spin = kzalloc(sizeof(*spin), GFP_KERNEL);
	if (!spin) {
		slot_release(slot, ANSWER_ALL_SUCCESS);
		return -ENOMEM;
	}
	init_completion(&spin->ended);
	spin->window = *window;
	spin->attempt = *attempt;
	spin->attempt.window = &spin->window;
	/* Until the target says otherwise: it may never begin. */
	spin->attempt.stale = 0;
	spin->attempt.expired = true;
	flush->sent = false;
	flush->unperformed = false;
	flush->answer = ANSWER_ALL_SUCCESS;
	flush->with_interrupts = RAR_PENDING;
	error = run(spin, window, flush, slot);
	*attempt = spin->attempt;
	/* A byte that became final after all frees its slot. */
	slot_release(slot, byte_is_final(flush->with_interrupts) ? ANSWER_ALL_SUCCESS :
								   flush->answer);
	if (error != -ETIMEDOUT)
		kfree(spin);
	return error;
}
