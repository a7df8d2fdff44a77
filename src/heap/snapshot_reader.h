/*
 * Inside heap/: the sections of a snapshot file that is read, and what reads of them need.
 * Readers note what is wrong and go on or return at once; snapshot_broken() has the words.
 */
#ifndef MEMTRACE_SNAPSHOT_READER_H
#define MEMTRACE_SNAPSHOT_READER_H

#include "base/cursor.h"
#include "heap/snapshot_file.h"
#include "heap/snapshot_layout.h"

struct snapshot_section {
	const uint8_t *at;    /* in the file's bytes; NULL: not there */
	size_t record, count; /* bytes of a record; how many */
};

struct snapshot_reader {
	struct snapshot_section sections[LAYOUT_SECTIONS];
	struct snapshot_file *file; /* what is made */
	frame_t *frames;	    /* by number */
	struct err *err;
	bool no_memory; /* a call failed for it */
};

/* Finds the sections in all `len` bytes of a file, up to the end, and its checksum.
 * -EINVAL, -ENOTSUP in words. */
int snapshot_find_sections(struct snapshot_reader *r, const uint8_t *bytes, size_t len);

/* Sets the error: -ENOMEM if memory was missing, else -EINVAL, the file is damaged: `what`. */
int snapshot_broken(struct snapshot_reader *r, const char *what);

/* Zeroed memory for count things and one more; NULL: noted in r->no_memory. */
void *snapshot_allocate(struct snapshot_reader *r, size_t count, size_t size);

/* Record i of a section, as long as ours: `bytes` (of `len`) holds it. */
struct cursor snapshot_record(const struct snapshot_section *section, size_t i, uint8_t *bytes,
			      size_t len);

/* The texts, which must be read before anything refers to one. */
int snapshot_read_texts(struct snapshot_reader *r);
/* The text that the reference at the cursor means, which lives as long as the file; NULL for
 * none, which an empty one is.  *bad: it means nothing. */
const char *snapshot_text(const struct snapshot_reader *r, struct cursor *c, bool *bad);
/* A malloc'ed copy of it; NULL for none, or (r->no_memory) without memory. */
char *snapshot_text_copy(struct snapshot_reader *r, struct cursor *c, bool *bad);
/* The same into an array of `size`, cut where it is too long. */
void snapshot_text_fill(const struct snapshot_reader *r, struct cursor *c, char *to,
			size_t size, bool *bad);

/* Whether no more was freed than allocated. */
bool snapshot_counts_sound(uint64_t allocs, uint64_t frees, uint64_t allocated, uint64_t freed);

/* Each section of the process, into r->file (snapshot_process_read.c).  0, or -EINVAL, -ENOMEM. */
int snapshot_read_process(struct snapshot_reader *r);
int snapshot_read_arguments(struct snapshot_reader *r);
int snapshot_read_modules(struct snapshot_reader *r);
int snapshot_read_threads(struct snapshot_reader *r);
int snapshot_read_not_followed(struct snapshot_reader *r);
/* The sections of what was kept of the time before, and the verdicts that follow from them
 * (snapshot_time_read.c); behind all others. */
int snapshot_read_time(struct snapshot_reader *r);
/* The marks (snapshot_marks_read.c), behind the contexts. */
int snapshot_read_marks(struct snapshot_reader *r);

#endif
