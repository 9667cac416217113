// SPDX-License-Identifier: MIT OR GPL-2.0
/* The output: lines in the kernel's log, and the same lines in a file of debugfs. */
#include <linux/debugfs.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/stdarg.h>
#include <linux/vmalloc.h>

#include "check.h"

#define ROOM	(128 * 1024)

static struct dentry *folder;
static struct debugfs_blob_wrapper log;

int tap_open(void)
{
	log.data = vzalloc(ROOM);
	log.size = 0;
	if (!log.data)
		return -ENOMEM;
	/* Without debugfs there is only the kernel's log. */
	folder = debugfs_create_dir("rar_check", NULL);
	debugfs_create_blob("log", 0400, folder, &log);
	return 0;
}

void tap_close(void)
{
	debugfs_remove(folder);
	vfree(log.data);
	log.data = NULL;
}

void tap(const char *text, ...)
{
	char *end = (char *)log.data + log.size;
	va_list arguments;

	va_start(arguments, text);
	vscnprintf(end, ROOM - log.size, text, arguments);
	va_end(arguments);
	pr_info("rar_check: %s\n", end);
	log.size += strlen(end);
	log.size += scnprintf((char *)log.data + log.size, ROOM - log.size, "\n");
}

void tap_result(unsigned int number, const char *name, const struct result *result)
{
	static const char * const forms[] = {
		[HOLDS] = "ok %u - %s # %s",
		[VIOLATED] = "not ok %u - %s # %s",
		[OBSERVED] = "ok %u - %s # observed: %s",
		[NOT_RUN] = "ok %u - %s # SKIP %s",
	};

	tap(forms[result->outcome], number, name, result->text);
}

void result_set(struct result *result, enum outcome outcome, const char *text, ...)
{
	va_list arguments;

	result->outcome = outcome;
	va_start(arguments, text);
	vscnprintf(result->text, sizeof(result->text), text, arguments);
	va_end(arguments);
}

void result_add(struct result *result, const char *text, ...)
{
	const size_t used = strlen(result->text);
	va_list arguments;

	va_start(arguments, text);
	vscnprintf(result->text + used, sizeof(result->text) - used, text, arguments);
	va_end(arguments);
}
