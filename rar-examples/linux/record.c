// SPDX-License-Identifier: MIT OR GPL-2.0
/* The records of the report: bodies in postcard, as docs/report-format.md says. */
#include <linux/efi.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/utsname.h>

#include <asm/processor.h>
#include <asm/tsc.h>

#include "check.h"

#define ROOM		(32 * 1024)
#define MOST_BODY	1024
/* Kept for the last record. */
#define END_ROOM	32

#define FORMAT		1

enum kind { HEAD, MACHINE, REGISTERS, FACT, RESULT, MEASUREMENT, EVENT, END };
enum backend { BACKEND_HARDWARE, BACKEND_SHIM };
enum { READ_NOT, READ_FAULT, READ_VALUE };
enum { NAME_KNOWN, NAME_NEW };
enum { EVENT_NOTE = 6 };

struct body {
	u8 bytes[MOST_BODY];
	size_t used;
	bool full;
};

static enum backend backend;

static void byte(struct body *body, u8 value)
{
	if (body->used < sizeof(body->bytes))
		body->bytes[body->used++] = value;
	else
		body->full = true;
}

/* Seven bits a byte, least significant first. */
static void number(struct body *body, u64 value)
{
	for (; value > 0x7f; value >>= 7)
		byte(body, value | 0x80);
	byte(body, value);
}

static void text(struct body *body, const char *value)
{
	number(body, strlen(value));
	while (*value)
		byte(body, *value++);
}

/* Returns whether there was room. */
static bool push(struct records *records, enum kind kind, const struct body *body, size_t keep)
{
	struct body head = { };

	byte(&head, kind);
	number(&head, body->used);
	if (body->full || records->used + head.used + body->used + keep > records->size) {
		records->left_out++;
		return false;
	}
	memcpy(records->bytes + records->used, head.bytes, head.used);
	memcpy(records->bytes + records->used + head.used, body->bytes, body->used);
	records->used += head.used + body->used;
	return true;
}

static struct body *new_body(void)
{
	/* One thread makes all records. */
	static struct body body;

	body.used = 0;
	body.full = false;
	return &body;
}

int records_open(struct records *records, u32 id)
{
	struct body *body = new_body();

	*records = (struct records) { .bytes = kzalloc(ROOM, GFP_KERNEL), .size = ROOM };
	if (!records->bytes)
		return -ENOMEM;
	number(body, FORMAT);
	number(body, id);
	text(body, CHECK_VERSION);
	push(records, HEAD, body, END_ROOM);
	return 0;
}

void records_close(struct records *records)
{
	kfree(records->bytes);
	records->bytes = NULL;
}

static u32 greatest_apic_id(void)
{
	u32 greatest = 0;
	unsigned int cpu;

	if (apic_mode() != APIC_NONE)
		for_each_online_cpu(cpu)
			greatest = max(greatest, apic_id(cpu));
	return greatest;
}

void record_machine(struct records *records)
{
	struct body *body = new_body();
	const struct cpuinfo_x86 *model = &boot_cpu_data;
	struct identity identity;
	char loader[100];

	identity_read(&identity);
	backend = identity.shim ? BACKEND_SHIM : BACKEND_HARDWARE;
	snprintf(loader, sizeof(loader), "Linux %s, module rar_check", init_utsname()->release);
	text(body, identity.vendor);
	text(body, identity.brand);
	number(body, model->x86);
	number(body, model->x86_model);
	number(body, model->x86_stepping);
	number(body, !!model->microcode);	/* 0: it cannot be read */
	if (model->microcode)
		number(body, model->microcode);
	number(body, num_possible_cpus());
	number(body, num_online_cpus());
	number(body, apic_mode());	/* none, xAPIC, x2APIC */
	number(body, greatest_apic_id());
	number(body, (u64)tsc_khz * 1000);
	number(body, 0);		/* where the rate is from: unknown */
	number(body, (u64)totalram_pages() << PAGE_SHIFT);
	number(body, efi_enabled(EFI_BOOT) ? 2 : 0);
	text(body, loader);
	number(body, identity.has_hypervisor);
	if (identity.has_hypervisor)
		text(body, identity.hypervisor);
	text(body, "");
	push(records, MACHINE, body, END_ROOM);
}

static void read(struct body *body, const struct register_read *read, bool was_read)
{
	number(body, !was_read ? READ_NOT : read->error ? READ_FAULT : READ_VALUE);
	if (was_read && !read->error)
		number(body, read->value);
}

void record_registers(struct records *records, unsigned int first, unsigned int cpus,
		      const struct registers *registers)
{
	struct body *body = new_body();

	number(body, first);
	number(body, cpus);
	number(body, registers->has_leaf);
	if (registers->has_leaf)
		number(body, registers->cpuid_7_edx);
	read(body, &registers->core_capabilities, registers->has_core_capabilities);
	read(body, &registers->control, registers->has_rar);
	read(body, &registers->vector_base, registers->has_rar);
	read(body, &registers->table_base, registers->has_rar);
	read(body, &registers->info, registers->has_rar);
	push(records, REGISTERS, body, END_ROOM);
}

void record_fact(struct records *records, const char *key, const char *value)
{
	struct body *body = new_body();

	text(body, key);
	text(body, value);
	push(records, FACT, body, END_ROOM);
}

void record_result(struct records *records, const char *name, const struct result *result,
		   u64 resignals)
{
	struct body *body = new_body();

	number(body, backend);
	number(body, NAME_NEW);		/* each test has one result */
	text(body, name);
	number(body, result->outcome);
	if (result->outcome == VIOLATED)
		number(body, result->first_initiator);
	if (result->outcome != HOLDS)
		text(body, result->text);
	number(body, result->initiators);
	number(body, 0);		/* fallbacks: there are none */
	number(body, resignals);
	push(records, RESULT, body, END_ROOM);
}

void record_note(struct records *records, const char *note)
{
	struct body *body = new_body();

	number(body, EVENT_NOTE);
	number(body, 0);		/* of no CPU */
	number(body, 0);		/* of no backend */
	text(body, "");
	text(body, note);
	push(records, EVENT, body, END_ROOM);
}

void record_end(struct records *records, u8 reason)
{
	struct body *body = new_body();

	number(body, reason);
	number(body, 0);
	number(body, 0);
	number(body, 0);
	number(body, records->left_out);
	push(records, END, body, 0);
}
