// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * A reboot, or a kexec, in the middle of a run: the next kernel must not get units that are
 * enabled and write into memory that is its own now. The reboot waits until they are put back.
 */
#include <linux/completion.h>
#include <linux/notifier.h>
#include <linux/reboot.h>

#include "check.h"

/* A run ends within a few deadlines, or after the wait for threads that do not end. */
#define MOST_SECONDS	60

static DECLARE_COMPLETION(restored);
static bool begins;

bool reboot_begins(void)
{
	return READ_ONCE(begins);
}

static int before_reboot(struct notifier_block *block, unsigned long action, void *command)
{
	WRITE_ONCE(begins, true);
	if (wait_for_completion_timeout(&restored, MOST_SECONDS * HZ))
		pr_info("rar_check: reboot: the units are put back\n");
	else
		pr_err("rar_check: reboot: the run does not end; units stay enabled\n");
	return NOTIFY_DONE;
}

static struct notifier_block block = { .notifier_call = before_reboot };

int reboot_open(void)
{
	return register_reboot_notifier(&block);
}

void reboot_close(void)
{
	/* In this order: a reboot that waits holds up the second step. */
	complete_all(&restored);
	unregister_reboot_notifier(&block);
}
