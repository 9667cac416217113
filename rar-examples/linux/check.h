/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What the files of this module share. */
#ifndef CHECK_H
#define CHECK_H

#include <linux/cpumask.h>
#include <linux/mm_types.h>
#include <linux/types.h>
#include <linux/version.h>

#include <asm/msr.h>

#include "rar.h"

#define CHECK_VERSION "0.1.0"

/* Linux 6.16 renames these. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define rdmsrl_safe rdmsrq_safe
#define wrmsrl_safe wrmsrq_safe
#define wrmsrl wrmsrq
#endif

/* ---- parameters (main.c) ---- */
extern bool any_model;
extern bool ignore_enabled;
extern bool odd_entries;
extern unsigned int deadline_ms;
extern unsigned int storm_rounds;

/* ---- the registers of one CPU (registers.c) ---- */
struct register_read {
	int error;		/* nonzero: #GP */
	u64 value;
};

struct registers {
	bool has_leaf;		/* CPUID leaf 7 exists */
	u32 cpuid_7_edx;
	bool has_core_capabilities;
	bool has_rar;
	struct register_read core_capabilities;
	struct register_read control;
	struct register_read vector_base;
	struct register_read table_base;
	struct register_read info;
};

void registers_read(struct registers *registers);	/* of the CPU that calls */
int registers_of(unsigned int cpu, struct registers *registers);
bool registers_same_unit(const struct registers *a, const struct registers *b);

/* ---- may this machine be tested? (refuse.c) ---- */
/* Returns 0, or an error after having put the reason into `why`. */
int refuse(char *why, size_t size);

/* ---- a reboot waits for the end of the run (reboot.c) ---- */
int reboot_open(void);
void reboot_close(void);
bool reboot_begins(void);

/* ---- the interrupt command (apic.c) ---- */
enum apic_mode { APIC_NONE, APIC_XAPIC, APIC_X2APIC };

int apic_open(char *why, size_t size);
void apic_close(void);
enum apic_mode apic_mode(void);
u32 apic_id(unsigned int cpu);
int apic_signal(unsigned int cpu);

/* ---- the units (unit.c) ---- */
struct units {
	unsigned int slots;
	u32 types;
	cpumask_var_t enabled;	/* signals go to these CPUs only */
	struct registers first;	/* of the first CPU, before anything was written */
};

extern struct units units;

int units_enable(char *why, size_t size);
/* Puts the registers back and frees the memory, or keeps it if a unit may still use it. */
void units_restore(void);
/* Keeps the memory until the next boot. */
void units_keep(void);
bool units_are_kept(void);
struct rar_entry *unit_entry(unsigned int slot);
u8 *unit_byte(unsigned int cpu, unsigned int slot);
u64 unit_vector_base(unsigned int cpu);
u64 unit_table_base(void);
const struct registers *unit_saved(unsigned int cpu);

/* ---- one request (flush.c) ---- */
enum answer {
	ANSWER_ALL_SUCCESS,
	ANSWER_FAILURE,		/* a byte reads 0x80 */
	ANSWER_LATE,		/* success, but one more signal was needed */
	ANSWER_NONE,		/* a byte is not final after the deadline */
	ANSWER_UNSENT,		/* a signal could not be sent */
};

struct request {
	u64 control;
	u64 operand;
	u64 address;
	u64 zero;		/* word 1 */
	/* Results. */
	unsigned int cpu;	/* that answered otherwise */
	u8 byte;		/* its byte */
	int error;		/* of its signal */
	u64 nanoseconds;
};

/* Slots that were never answered are not used again. */
int slot_take(void);
void slot_release(int slot, enum answer answer);
bool byte_is_final(u8 byte);
/* Why a signal could not be sent, by its error. */
const char *signal_fault(int error);
enum answer request_send(int slot, struct request *request, const struct cpumask *targets);
/* Waits once more, without a signal, for a request that got no answer. */
u8 request_wait_again(int slot, unsigned int cpu);
u64 requests_resignalled(void);
/* After some requests without an answer, nothing more is asked. */
bool units_are_silent(void);

/* ---- pages whose translation is changed (page.c) ---- */
enum globals { PAGES_GLOBAL, PAGES_NOT_GLOBAL };

struct window {
	unsigned int pages;
	void *address;
	struct page **frames;	/* two for each page: frames[page * 2 + version] */
	pgprot_t protection;
	bool in_use;		/* by a thread that does not end: it stays */
};

int window_open(struct window *window, unsigned int pages, enum globals globals);
void window_close(struct window *window);
u64 *window_frame(const struct window *window, unsigned int page, unsigned int version);
u64 window_address(const struct window *window, unsigned int page);
/* Changes the translation and flushes nothing. */
void window_map(struct window *window, unsigned int page, unsigned int version);
u64 window_read(const struct window *window, unsigned int page);
/* Flushes all CPUs by ordinary means. */
void flush_everything(void);

/* ---- threads (thread.c) ---- */
struct completion;

int thread_start(int (*run)(void *data), void *data, unsigned int cpu);
void __noreturn thread_end(struct completion *ended);
bool threads_ended(struct completion *ended, unsigned int count);

/* ---- a target with interrupts off (target.c) ---- */
struct attempt {
	const struct window *window;
	unsigned int page;
	unsigned int cpu;
	/*
	 * How long the target waits before it reads, with interrupts off. A hypervisor that takes
	 * an interrupt of the machine may drop translations; after this time none is left.
	 */
	unsigned int settle_us;
	/* Written by the target. */
	u64 before, stale, after;
	u64 cr3;
	bool interrupts_off;
	bool expired;
};

enum asked { ASK_FLUSH, ASK_NOTHING };

/* What the initiator does while the target spins. */
struct flush {
	enum asked asked;
	struct request request;
	bool own_cr3;		/* the operand is the target's CR3 */
	bool own_pcid;		/* the operand is the target's PCID */
	bool counted;		/* compare the counters of the RAR machine */
	enum answer answer;
	u8 with_interrupts;	/* the byte once the target has interrupts on, if none came */
	bool sent;
	bool unperformed;	/* SUCCESS, but the counters of the RAR machine say otherwise */
};

int attempt_run(struct attempt *attempt, struct window *window, struct flush *flush);

/* ---- tests ---- */
enum outcome { HOLDS, VIOLATED, OBSERVED, NOT_RUN };

struct result {
	enum outcome outcome;
	char text[200];
	unsigned int initiators;
	unsigned int first_initiator;	/* for which an assertion failed */
};

__printf(3, 4)
void result_set(struct result *result, enum outcome outcome, const char *text, ...);
__printf(2, 3)
void result_add(struct result *result, const char *text, ...);

struct test {
	const char *name;
	void (*run)(struct result *result, const void *argument);
	const void *argument;
};

void test_enumeration(struct result *result, const void *argument);
void test_read_back(struct result *result, const void *argument);
void test_reserved_bits(struct result *result, const void *argument);
void test_answers(struct result *result, const void *argument);
void test_types(struct result *result, const void *argument);
void test_unflushed(struct result *result, const void *argument);
void test_stale(struct result *result, const void *argument);
void test_storm(struct result *result, const void *argument);

extern const struct stale_case invpg_cr3, invpg_page, invpg_all, invpg_local, invpcid_page,
	invpcid_one, invpcid_all, invpcid_local, range_63, invpg_global_page, invpcid_local_global;

/* Moves this thread to another CPU of the test; the run moves it back. */
int initiate_on(unsigned int cpu);
/* Returns whether the run has to end: its time is over, or it is to be killed, or a reboot. */
bool run_is_over(void);

/* ---- output (tap.c, record.c, seal.c, identity.c) ---- */
__printf(1, 2)
void tap(const char *text, ...);
void tap_result(unsigned int number, const char *name, const struct result *result);
int tap_open(void);
void tap_close(void);

struct records {
	u8 *bytes;
	size_t size, used;
	u32 left_out;
};

enum { END_COMPLETE = 0, END_DEADLINE = 1, END_FAULT = 4 };

int records_open(struct records *records, u32 id);
void records_close(struct records *records);
void record_machine(struct records *records);
void record_registers(struct records *records, unsigned int first, unsigned int cpus,
		      const struct registers *registers);
void record_fact(struct records *records, const char *key, const char *value);
void record_result(struct records *records, const char *name, const struct result *result,
		   u64 resignals);
void record_note(struct records *records, const char *text);
void record_end(struct records *records, u8 reason);
void records_print(const struct records *records, u32 id);

/* Identity of the machine for the report. */
struct identity {
	char vendor[13], brand[49], hypervisor[13];
	bool has_hypervisor;
	bool shim;		/* the RAR machine of this project */
};

void identity_read(struct identity *identity);

/* ---- counters of the RAR machine (counters.c) ---- */
bool counters_present(void);
u64 counters_performed(void);
u64 counters_await(u64 count);

#endif
