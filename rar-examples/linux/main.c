// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Tests the RAR units of this machine while the module is loaded: enables them, runs the tests,
 * puts the registers back. Loading ends when the run does.
 */
#include <linux/cpu.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <asm/cpufeature.h>

#include "check.h"

bool any_model;
module_param(any_model, bool, 0444);
MODULE_PARM_DESC(any_model, "run on a model that is not listed as one that has RAR");

bool ignore_enabled;
module_param(ignore_enabled, bool, 0444);
MODULE_PARM_DESC(ignore_enabled, "run although a unit is enabled: only if the firmware did that");

bool odd_entries;
module_param(odd_entries, bool, 0444);
MODULE_PARM_DESC(odd_entries, "ask a processor what no driver should; a guest is asked anyway");

/* CPUs of an emulator may have to wait for a CPU of their host. */
#define DEADLINE_MS		500
#define DEADLINE_EMULATED_MS	2000

unsigned int deadline_ms;
module_param(deadline_ms, uint, 0444);
MODULE_PARM_DESC(deadline_ms,
		 "how long a unit may take to answer, 1 to 2000 (default 500, in a guest 2000)");

unsigned int storm_rounds = 2000;
module_param(storm_rounds, uint, 0444);
MODULE_PARM_DESC(storm_rounds, "rounds of the storm (default 2000)");

static unsigned int seconds = 60;
module_param(seconds, uint, 0444);
MODULE_PARM_DESC(seconds, "no test begins later than this (default 60)");

static const struct test tests[] = {
	{ "linux-enumeration", test_enumeration },
	{ "linux-read-back", test_read_back },
	{ "linux-reserved-bits", test_reserved_bits },
	{ "linux-unflushed", test_unflushed },
	{ "linux-invpg-cr3", test_stale, &invpg_cr3 },
	{ "linux-invpg-page", test_stale, &invpg_page },
	{ "linux-invpg-all", test_stale, &invpg_all },
	{ "linux-invpg-but-globals", test_stale, &invpg_local },
	{ "linux-invpcid-page", test_stale, &invpcid_page },
	{ "linux-invpcid-63-pages", test_stale, &range_63 },
	{ "linux-invpcid-one", test_stale, &invpcid_one },
	{ "linux-invpcid-all", test_stale, &invpcid_all },
	{ "linux-invpcid-but-globals", test_stale, &invpcid_local },
	{ "linux-global-by-invpg", test_stale, &invpg_global_page },
	{ "linux-global-by-others", test_stale, &invpcid_local_global },
	{ "linux-answers", test_answers },
	{ "linux-types", test_types },
	{ "linux-storm", test_storm },
};

static ktime_t end_of_run;

bool run_is_over(void)
{
	return ktime_after(ktime_get(), end_of_run) || fatal_signal_pending(current) ||
	       reboot_begins();
}

int initiate_on(unsigned int cpu)
{
	return set_cpus_allowed_ptr(current, cpumask_of(cpu));
}

static void run_tests(struct records *records)
{
	unsigned int counts[4] = { 0 };
	unsigned int i;

	tap("1..%zu", ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		struct result result = { .outcome = NOT_RUN };
		const u64 before = requests_resignalled();

		if (run_is_over())
			result_set(&result, NOT_RUN, "the time of the run is over");
		else
			tests[i].run(&result, tests[i].argument);
		counts[result.outcome]++;
		tap_result(i + 1, tests[i].name, &result);
		record_result(records, tests[i].name, &result, requests_resignalled() - before);
	}
	tap("# %u passed, %u failed, %u observed, %u skipped", counts[HOLDS], counts[VIOLATED],
	    counts[OBSERVED], counts[NOT_RUN]);
}

/* The first CPU, and each one whose registers differ from it. */
static void record_all_registers(struct records *records)
{
	const unsigned int first = cpumask_first(units.enabled);
	unsigned int cpu;

	for_each_cpu(cpu, units.enabled) {
		const struct registers *here = unit_saved(cpu);

		if (cpu == first)
			record_registers(records, 0, num_online_cpus(), here);
		else if (memcmp(here, unit_saved(first), sizeof(*here)))
			record_registers(records, cpu, 1, here);
	}
}

static int run_enabled(struct records *records, char *why, size_t size)
{
	struct cpumask *allowed;
	int error = apic_open(why, size) ?: units_enable(why, size);

	record_machine(records);
	if (error) {
		record_registers(records, 0, num_online_cpus(), &units.first);
		return error;
	}
	record_all_registers(records);
	allowed = kmalloc(sizeof(*allowed), GFP_KERNEL);
	if (!allowed) {
		snprintf(why, size, "no memory for a mask of CPUs");
		return -ENOMEM;
	}
	cpumask_copy(allowed, current->cpus_ptr);
	run_tests(records);
	set_cpus_allowed_ptr(current, allowed);
	kfree(allowed);
	return 0;
}

static int run(struct records *records)
{
	char why[200] = "no reason was given";
	int error;

	/* No CPU comes or goes during the run. */
	cpus_read_lock();
	error = refuse(why, sizeof(why));
	if (error) {
		record_machine(records);
		record_registers(records, 0, num_online_cpus(), &units.first);
	} else {
		error = run_enabled(records, why, sizeof(why));
		units_restore();
		apic_close();
	}
	cpus_read_unlock();
	if (error) {
		tap("1..0 # SKIP %s", why);
		record_note(records, why);
	}
	record_end(records, error ? END_FAULT : run_is_over() ? END_DEADLINE : END_COMPLETE);
	return error;
}

static int __init rar_check_init(void)
{
	const u32 id = get_random_u32();
	struct records records;
	int error;

	if (!deadline_ms)
		deadline_ms = boot_cpu_has(X86_FEATURE_HYPERVISOR) ? DEADLINE_EMULATED_MS :
								     DEADLINE_MS;
	deadline_ms = clamp(deadline_ms, 1U, 2000U);
	end_of_run = ktime_add_ms(ktime_get(), (u64)min(seconds, 3600U) * 1000);
	error = tap_open();
	if (error)
		return error;
	error = records_open(&records, id);
	if (!error) {
		tap("TAP version 13");
		error = reboot_open() ?: run(&records);
		reboot_close();
		records_print(&records, id);
		records_close(&records);
	}
	if (error)
		tap_close();
	return error;
}

static void __exit rar_check_exit(void)
{
	/* The registers were put back at the end of the run. */
	tap_close();
}

module_init(rar_check_init);
module_exit(rar_check_exit);

MODULE_DESCRIPTION("Tests the Remote Action Request units of Intel processors");
MODULE_VERSION(CHECK_VERSION);
MODULE_LICENSE("Dual MIT/GPL");
