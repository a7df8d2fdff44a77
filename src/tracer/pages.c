/* Pages of our own; see pages.h. */
#include "tracer/pages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "elf/maps.h"
#include "tracer/inside.h"
#include "tracer/remote.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* before Linux 4.17 the address is a hint */
#endif

static void head_of(const struct arch *arch, uint8_t *ret)
{
	const uint32_t len = PAGE_HEAD;

	memset(ret, 0, PAGE_HEAD);
	memcpy(ret, arch->trap->magic, arch->trap->magic_len);
	memcpy(ret + arch->trap->magic_len, &len, sizeof(len));
}

static struct undo_page *page_at(struct undo *undo, taddr_t base)
{
	for (uint32_t i = 0; i < UNDO_PAGES; i++)
		if (undo->page[i].len && undo->page[i].base == base)
			return &undo->page[i];
	return NULL;
}

static int unmap(struct tracee *tracee, struct undo *undo, const struct undo_places *places,
		 taddr_t base, uint32_t len)
{
	struct remote_call call = {tracee->arch->trap->page_calls[1], {base, len}};
	int64_t result = -EAGAIN;
	struct err err;
	int rc = remote_call_from_any(tracee, undo, places, &call, 1, 0, &result, &err);

	return result == 0 ? 0 : rc ? rc : (int)result;
}

/* Is it there, ours, empty, and can nobody be inside? */
static int check_empty(struct tracee *tracee, const struct undo_page *page)
{
	struct inside_range range = {page->base - 1, page->base + page->len};
	uint8_t head[PAGE_HEAD], *bytes = malloc(page->len);
	struct maps maps = {.text = NULL};
	const struct mapping *mapping;
	int rc = bytes ? maps_read(tracee_alive(tracee), &maps, NULL) : -ENOMEM;

	mapping = rc ? NULL : maps_find(&maps, page->base);
	if (!rc && !mapping)
		rc = -ENOENT;
	if (!rc && (mapping->begin != page->base || mapping->end != page->base + page->len ||
		    *mapping->path || mapping->write || !mapping->exec))
		rc = -EBUSY;
	if (!rc)
		rc = target_read(&tracee->target, page->base, bytes, page->len);
	head_of(tracee->arch, head);
	for (uint32_t i = 0; !rc && i < page->len; i++)
		if (bytes[i] && (i >= PAGE_HEAD || bytes[i] != head[i]))
			rc = -EBUSY;
	if (!rc && inside_ranges(tracee, &range, 1, true))
		rc = -EBUSY;
	maps_deinit(&maps);
	free(bytes);
	return rc;
}

/* The log has the page before, and as long as it may be there. */
static int map(struct tracee *tracee, struct undo *undo, struct undo_page *page,
	       struct err *err)
{
	struct remote_call call = {
		tracee->arch->trap->page_calls[0],
		{page->base, page->len, PROT_READ | PROT_EXEC,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, ~(uint64_t)0, 0}};
	int64_t result = -EAGAIN;
	uint32_t len = page->len;
	int rc = remote_call_from_any(tracee, undo, &page->places, &call, 1, 0, &result, err);

	if (rc == -ETIMEDOUT || (taddr_t)result == page->base)
		return rc;
	if (!rc && result == -EEXIST && !check_empty(tracee, page))
		return 0; /* a predecessor was killed before it wrote the header */
	page->len = 0;
	if (rc)
		return rc;
	if (result < 0 && result >= -4095)
		return err_sys(err, (int)result, "the process cannot map a page for them");
	unmap(tracee, undo, &page->places, (taddr_t)result, len);
	return err_set(err, -EEXIST, "0x%" PRIx64 " is not free any more", page->base);
}

int pages_map(struct tracee *tracee, struct undo *undo, const struct undo_places *places,
	      taddr_t base, uint32_t len, struct err *err)
{
	struct undo_page *page = page_at(undo, base); /* made, and its thread had to run on */
	uint8_t head[PAGE_HEAD];
	int rc = 0;

	if (!page) {
		page = undo_page(undo, base, len, places);
		if (!page)
			return err_set(err, -ENOSPC, "there are %d pages already", UNDO_PAGES);
		rc = map(tracee, undo, page, err);
	}
	if (rc)
		return rc;
	head_of(tracee->arch, head);
	rc = undo_page_begin(page, &tracee->target, head, sizeof(head));
	return rc ? err_sys(err, rc, "cannot write to the page") : 0;
}

int pages_unmap(struct tracee *tracee, struct undo *undo)
{
	int first = 0;

	for (uint32_t i = 0; i < UNDO_PAGES; i++) {
		struct undo_page *page = &undo->page[i];
		int rc;

		if (!page->len)
			continue;
		rc = check_empty(tracee, page);
		if (!rc)
			rc = unmap(tracee, undo, &page->places, page->base, page->len);
		if (!rc || rc == -ENOENT)
			page->len = 0;
		else if (!first || rc == -EAGAIN || rc == -ERANGE)
			first = rc == -ERANGE ? -EAGAIN : rc; /* threads move */
	}
	return first;
}

bool pages_adopt(struct tracee *tracee, struct undo *undo, const struct undo_places *places,
		 taddr_t base, uint32_t len)
{
	uint8_t head[PAGE_HEAD], there[PAGE_HEAD];

	head_of(tracee->arch, head);
	if (target_read(&tracee->target, base, there, sizeof(there)) ||
	    memcmp(head, there, sizeof(head)))
		return false;
	return page_at(undo, base) || undo_page(undo, base, len, places);
}
