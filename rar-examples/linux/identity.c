// SPDX-License-Identifier: MIT OR GPL-2.0
/* Names that the processor and the hypervisor give themselves. */
#include <linux/string.h>

#include <asm/processor.h>

#include "check.h"

#define HYPERVISOR_BIT		BIT(31)		/* of ECX of leaf 1 */
#define HYPERVISOR_LEAF		0x40000000
/* The RAR machine of this project has a leaf of its own. */
#define SHIM_LEAF		0x40000100
#define SHIM_NAME		"rar-vrar-svm"
#define BRAND_LEAF		0x80000002

/* The texts are put together from registers, in the order that each leaf has. */
static void put(char *at, u32 value)
{
	memcpy(at, &value, sizeof(value));
}

static void read_brand(char *brand)
{
	u32 eax, ebx, ecx, edx;
	unsigned int i;

	if (cpuid_eax(0x80000000) < BRAND_LEAF + 2)
		return;
	for (i = 0; i < 3; i++) {
		cpuid(BRAND_LEAF + i, &eax, &ebx, &ecx, &edx);
		put(brand + i * 16, eax);
		put(brand + i * 16 + 4, ebx);
		put(brand + i * 16 + 8, ecx);
		put(brand + i * 16 + 12, edx);
	}
}

static void read_signature(u32 leaf, char *signature)
{
	u32 eax, ebx, ecx, edx;

	cpuid(leaf, &eax, &ebx, &ecx, &edx);
	put(signature, ebx);
	put(signature + 4, ecx);
	put(signature + 8, edx);
}

void identity_read(struct identity *identity)
{
	char shim[13] = "";
	u32 eax, ebx, ecx, edx;

	memset(identity, 0, sizeof(*identity));
	cpuid(0, &eax, &ebx, &ecx, &edx);
	put(identity->vendor, ebx);
	put(identity->vendor + 4, edx);
	put(identity->vendor + 8, ecx);
	read_brand(identity->brand);
	identity->has_hypervisor = cpuid_ecx(1) & HYPERVISOR_BIT;
	if (!identity->has_hypervisor)
		return;
	read_signature(HYPERVISOR_LEAF, identity->hypervisor);
	read_signature(SHIM_LEAF, shim);
	identity->shim = !strcmp(shim, SHIM_NAME);
	if (identity->shim)
		strscpy(identity->hypervisor, shim, sizeof(identity->hypervisor));
}
