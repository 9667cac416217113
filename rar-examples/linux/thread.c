// SPDX-License-Identifier: MIT OR GPL-2.0
/* Threads that are bound to a CPU and awaited. */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "check.h"

/* A CPU that runs none of our threads for so long is kept busy by a thread of the highest class. */
#define MOST_SECONDS	30

int thread_start(int (*run)(void *data), void *data, unsigned int cpu)
{
	struct task_struct *thread = kthread_create(run, data, "rar_check/%u", cpu);

	if (IS_ERR(thread))
		return PTR_ERR(thread);
	kthread_bind(thread, cpu);
	wake_up_process(thread);
	return 0;
}

/* The thread's last step. It does not come back, so the module may be unloaded after it. */
void thread_end(struct completion *ended)
{
	kthread_complete_and_exit(ended, 0);
}

/*
 * Returns whether all of them ended. If not, the module stays loaded until the next boot, and the
 * caller must leave alone what the threads use.
 */
bool threads_ended(struct completion *ended, unsigned int count)
{
	for (; count; count--) {
		if (wait_for_completion_timeout(ended, MOST_SECONDS * HZ))
			continue;
		pr_err("rar_check: %u threads do not end; the module stays loaded\n", count);
		__module_get(THIS_MODULE);
		units_keep();
		return false;
	}
	return true;
}
