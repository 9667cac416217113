// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Pages whose translation is changed: a range of kernel addresses of our own, two frames for each
 * page. Nothing else's page table entries are touched.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>

#include <asm/pgtable.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>

#include "check.h"

static void flush_here(void *unused)
{
	__flush_tlb_all();
}

/* By an interrupt to each CPU, so that frames can be freed whatever the units did. */
void flush_everything(void)
{
	on_each_cpu(flush_here, NULL, 1);
}

static pte_t *entry_of(const struct window *window, unsigned int page)
{
	unsigned int level;
	pte_t *entry = lookup_address(window_address(window, page), &level);

	return entry && level == PG_LEVEL_4K ? entry : NULL;
}

/* Returns whether the processor treats the page as was asked for. */
static bool is_as_asked(pte_t entry, enum globals globals)
{
	const bool global = (pte_val(entry) & _PAGE_GLOBAL) && (__read_cr4() & X86_CR4_PGE);

	return global == (globals == PAGES_GLOBAL);
}

static int fill(struct window *window)
{
	unsigned int i;

	for (i = 0; i < window->pages * 2; i++) {
		window->frames[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!window->frames[i])
			return -ENOMEM;
	}
	return 0;
}

/* Maps the first frame of each page. */
static int map_all(struct window *window, enum globals globals)
{
	struct page **first = kcalloc(window->pages, sizeof(*first), GFP_KERNEL);
	unsigned int i;

	if (!first)
		return -ENOMEM;
	for (i = 0; i < window->pages; i++)
		first[i] = window->frames[i * 2];
	window->address = vmap(first, window->pages, VM_MAP, window->protection);
	kfree(first);
	if (!window->address)
		return -ENOMEM;
	for (i = 0; i < window->pages; i++) {
		const pte_t *entry = entry_of(window, i);

		if (!entry || !is_as_asked(*entry, globals)) {
			pr_err("rar_check: own page %u: no entry of 4K, or global bit wrong\n", i);
			return -EIO;
		}
	}
	return 0;
}

int window_open(struct window *window, unsigned int pages, enum globals globals)
{
	int error;

	window->pages = pages;
	window->address = NULL;
	window->in_use = false;
	/* Where page tables are isolated from programs, PAGE_KERNEL is not global. */
	window->protection = __pgprot(globals == PAGES_GLOBAL ?
				      pgprot_val(PAGE_KERNEL) | _PAGE_GLOBAL :
				      pgprot_val(PAGE_KERNEL) & ~_PAGE_GLOBAL);
	window->frames = kcalloc(pages * 2, sizeof(*window->frames), GFP_KERNEL);
	if (!window->frames)
		return -ENOMEM;
	error = fill(window) ?: map_all(window, globals);
	if (error)
		window_close(window);
	return error;
}

void window_close(struct window *window)
{
	unsigned int i;

	if (window->in_use)
		return;
	if (window->address) {
		/* vunmap expects no particular frame; the flush ends every stale translation. */
		vunmap(window->address);
		flush_everything();
	}
	for (i = 0; window->frames && i < window->pages * 2; i++)
		if (window->frames[i])
			__free_page(window->frames[i]);
	kfree(window->frames);
	window->frames = NULL;
	window->address = NULL;
}

/* The frame by its address in the direct map, which nothing here changes. */
u64 *window_frame(const struct window *window, unsigned int page, unsigned int version)
{
	return page_address(window->frames[page * 2 + version]);
}

u64 window_address(const struct window *window, unsigned int page)
{
	return (unsigned long)window->address + page * PAGE_SIZE;
}

void window_map(struct window *window, unsigned int page, unsigned int version)
{
	pte_t *entry = entry_of(window, page);

	if (entry)
		set_pte(entry, mk_pte(window->frames[page * 2 + version], window->protection));
	/* The store must not wait behind what follows. */
	smp_mb();
}

u64 window_read(const struct window *window, unsigned int page)
{
	return READ_ONCE(*(u64 *)(unsigned long)window_address(window, page));
}
