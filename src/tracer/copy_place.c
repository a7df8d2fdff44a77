/*
 * Where the code lies by which a process is copied (copy.h), or waits to be followed (handover.h): in the vdso, behind
 * its end, where no file could ever differ and nobody looks; where that has no room, behind the code of a
 * library or of the program, whose last page is filled up with zeros (riscv64: its vdso of Linux 6.12 has
 * 15 bytes free, its C library 2536, of which stubs take those in front).
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "elf/image.h"
#include "tracer/copy.h"
#include "tracer/inside.h"
#include "tracer/remote_parts.h"

/* 0: the place is as it should be.  -EBUSY: something else is there. */
static int clear_place(struct tracee *tracee, struct undo_place *place, struct err *err)
{
	static const uint8_t zeros[UNDO_PLACE_BYTES];
	const struct inside_range range = {place->base - 1, place->base + place->room};

	if (target_read(&tracee->target, place->base, place->old, place->room))
		return -EBUSY;
	if (!memcmp(place->old, zeros, place->room))
		return 0;
	if (!remote_is_left(tracee->arch, place->old, place->room))
		return -EBUSY;
	if (inside_ranges(tracee, &range, 1, true))
		return err_set(err, -EAGAIN,
			       "a thread runs code of a memtrace that was killed");
	memset(place->old, 0, sizeof(place->old));
	return undo_wipe_place(&tracee->target, place) ? -EBUSY : 0;
}

/* (MIPS' vdso has 259 bytes free, of Linux 6.1.) */
static const uint16_t place_sizes[] = {UNDO_PLACE_BYTES, 256};

static int place_in(struct tracee *tracee, const struct mapping *vdso, struct undo_place *ret,
		    struct err *err)
{
	int rc = -EBUSY;

	for (size_t i = 0; i < ARRAY_SIZE(place_sizes) && rc == -EBUSY; i++) {
		ret->room = place_sizes[i];
		ret->base = vdso->end - ret->room;
		rc = clear_place(tracee, ret, err);
	}
	return rc;
}

/* Where the ELF file begins of which this is a part; 0: not to be told. */
static taddr_t file_begin(const struct maps *maps, size_t part)
{
	const struct mapping *mapping = &maps->list.at[part];

	for (size_t i = part + 1; i; i--) {
		const struct mapping *m = &maps->list.at[i - 1];

		if (m->inode != mapping->inode || m->dev != mapping->dev)
			return 0;
		if (!m->offset)
			return m->begin;
	}
	return 0;
}

/* Is from `base` to the end of the mapping nothing of the file's, whose memory begins at `start`? */
static bool is_behind_all(struct tracee *tracee, const struct mapping *mapping, taddr_t start,
			  taddr_t base)
{
	const struct image_segment *segments;
	struct image *image;
	bool behind = false, inside = false;
	taddr_t bias;
	size_t count;

	if (image_open_loaded(&tracee->target.memory, start, &image, NULL))
		return false;
	segments = image_segments(image, &count);
	bias = count ? start - (segments[0].vaddr - segments[0].offset) : 0;
	for (size_t i = 0; i < count; i++) {
		taddr_t begin = bias + segments[i].vaddr, end = begin + segments[i].mem_size;

		inside |= begin < mapping->end && end > base;
		behind |= segments[i].flags & PF_X && begin >= mapping->begin && end <= base &&
			  segments[i].mem_size == segments[i].file_size;
	}
	image_close(image);
	return behind && !inside;
}

/* The last ones first: the loader, which has room that no stub takes, then libraries. */
static int place_behind_code(struct tracee *tracee, const struct maps *maps,
			     struct undo_place *ret, struct err *err)
{
	for (size_t i = maps->list.len; i; i--) {
		const struct mapping *mapping = &maps->list.at[i - 1];
		taddr_t start = mapping->inode && mapping->exec && !mapping->write && !mapping->shared
					? file_begin(maps, i - 1)
					: 0;
		int rc;

		if (!start || !is_behind_all(tracee, mapping, start, mapping->end - UNDO_PLACE_BYTES))
			continue;
		ret->room = UNDO_PLACE_BYTES;
		ret->base = mapping->end - UNDO_PLACE_BYTES;
		rc = clear_place(tracee, ret, err);
		if (rc != -EBUSY)
			return rc;
	}
	return -EBUSY;
}

int copy_place(struct tracee *tracee, const struct maps *maps, struct undo_place *ret,
	       struct err *err)
{
	int rc = -EBUSY;

	for (size_t i = 0; i < maps->list.len && rc == -EBUSY; i++) {
		const struct mapping *mapping = &maps->list.at[i];

		if (!strcmp(mapping->path, "[vdso]") && mapping->end % 16 == 0)
			rc = place_in(tracee, mapping, ret, err);
	}
	if (rc == -EBUSY && tracee->arch->trap->spare_register) /* home may be anywhere */
		rc = place_behind_code(tracee, maps, ret, err);
	if (rc != -EBUSY)
		return rc;
	ret->base = 0;
	return 0;
}
