/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Numbers of Intel's Remote Action Request (RAR): registers, payload entries, action bytes.
 *
 * From public descriptions of Intel 341431 and of the SDM, vol. 4; docs/questions.md in the
 * repository of this module lists what no public source settles.
 */
#ifndef RAR_H
#define RAR_H

#include <linux/bits.h>
#include <linux/types.h>

/* Enumeration: CPUID.(EAX=7,ECX=0):EDX[30] announces register 0xcf, whose bit 1 announces RAR. */
#define RAR_CPUID7_EDX_CORE_CAPABILITIES	BIT(30)
#define RAR_MSR_CORE_CAPABILITIES		0xcf
#define RAR_CORE_CAPABILITIES_RAR		BIT_ULL(1)

/* MSR_RAR_CONTROL */
#define RAR_MSR_CONTROL				0xed
#define RAR_CONTROL_ENABLE			BIT_ULL(31)
#define RAR_CONTROL_IGNORE_IF			BIT_ULL(30)

/* MSR_RAR_ACTION_VECTOR_BASE: physical, a multiple of 64. */
#define RAR_MSR_ACTION_VECTOR_BASE		0xee
/* MSR_RAR_PAYLOAD_TABLE_BASE: physical, a multiple of 4096. */
#define RAR_MSR_PAYLOAD_TABLE_BASE		0xef

/* MSR_RAR_INFO, read only. */
#define RAR_MSR_INFO				0xf0
#define RAR_INFO_TYPES(info)			((u32)(info))
#define RAR_INFO_SLOTS(info)			((unsigned int)((info) >> 32 & 0x3f) + 1)
#define RAR_INFO_RESERVED			GENMASK_ULL(63, 38)

/* The interrupt command with delivery mode 011b; the vector is 0. */
#define RAR_COMMAND				0x300

#define RAR_MOST_SLOTS				64
#define RAR_VECTOR_BYTES			64

/* A payload entry: hardware reads the first four words. */
struct rar_entry {
	u64 control;
	u64 zero;
	u64 operand;		/* CR3, or a PCID */
	u64 address;
	u64 software[4];
};

enum rar_type {
	RAR_INVPG = 0,
	RAR_INVPG_ANY_CR3 = 1,
	RAR_INVPCID = 2,
};

/* INVPG knows 0, 2 and 3; 2 and 3 mean the same for both types. */
enum rar_subtype {
	RAR_ADDRESS = 0,
	RAR_ONE_PCID = 1,
	RAR_ALL_AND_GLOBALS = 2,
	RAR_ALL_BUT_GLOBALS = 3,
};

/* Word 0 of an entry for 4K pages; the page size field is 0. */
#define RAR_WORD(type, subtype, pages) \
	((u64)(type) << 8 | (u64)(subtype) << 32 | (u64)(pages) << 37)
#define RAR_MOST_PAGES				63

/* What an action byte holds. */
#define RAR_SUCCESS				0x00
#define RAR_PENDING				0x01
#define RAR_FAILURE				0x80

#endif
