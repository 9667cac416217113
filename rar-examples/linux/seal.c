// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The report as text: sealed by length and checksum, cut into parts of base45. The format is in
 * docs/report-format.md; `cargo xtask report` reads it from the output of dmesg.
 */
#include <linux/crc32.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "check.h"

#define CONTAINER_VERSION	1
#define METHOD_PLAIN		0
#define HEADER			10
#define MOST_PARTS		999
/* An even number: two bytes make three characters. A line then has about 500. */
#define PART_BYTES		288
#define PART_CHARACTERS		(PART_BYTES / 2 * 3 + 64)

static u32 checksum(const void *bytes, size_t size)
{
	return ~crc32_le(~0U, bytes, size);
}

static void put_u32(u8 *at, u32 value)
{
	at[0] = value;
	at[1] = value >> 8;
	at[2] = value >> 16;
	at[3] = value >> 24;
}

static size_t base45(char *out, const u8 *bytes, size_t size)
{
	static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
	char *at = out;
	size_t i;

	for (i = 0; i < size; i += 2) {
		const bool pair = i + 1 < size;
		const u32 value = pair ? bytes[i] << 8 | bytes[i + 1] : bytes[i];

		*at++ = alphabet[value % 45];
		*at++ = alphabet[value / 45 % 45];
		if (pair)
			*at++ = alphabet[value / 45 / 45];
	}
	*at = 0;
	return at - out;
}

static void print_part(const u8 *bytes, size_t size, unsigned int number, unsigned int count,
		       u32 id)
{
	char text[PART_CHARACTERS];
	size_t length;

	length = scnprintf(text, sizeof(text), "RAR1:%08X:%u/%u:", id, number, count);
	length += base45(text + length, bytes, size);
	scnprintf(text + length, sizeof(text) - length, ":%08X", checksum(text, length));
	tap("@r {\"part\":%u,\"of\":%u,\"qr\":\"%s\"}", number, count, text);
}

void records_print(const struct records *records, u32 id)
{
	const size_t size = HEADER + records->used;
	const unsigned int count = DIV_ROUND_UP(size, PART_BYTES);
	u8 *sealed = kzalloc(size, GFP_KERNEL);
	unsigned int i;

	if (!sealed || count > MOST_PARTS) {
		tap("# no memory for the report");
		kfree(sealed);
		return;
	}
	sealed[0] = CONTAINER_VERSION;
	sealed[1] = METHOD_PLAIN;
	put_u32(sealed + 2, records->used);
	put_u32(sealed + 6, checksum(records->bytes, records->used));
	memcpy(sealed + HEADER, records->bytes, records->used);
	for (i = 0; i < count; i++)
		print_part(sealed + i * PART_BYTES,
			   min_t(size_t, PART_BYTES, size - i * PART_BYTES), i + 1, count, id);
	kfree(sealed);
}
