/*
 * Inside heap/: a snapshot file that is being written, front to back with 4 KB at hand.  What
 * goes wrong is noted once, and the rest is written into nothing.
 */
#ifndef MEMTRACE_SNAPSHOT_WRITER_H
#define MEMTRACE_SNAPSHOT_WRITER_H

#include "base/chunks.h"
#include "heap/frame_table.h"
#include "heap/snapshot_file.h"
#include "heap/snapshot_layout.h"

struct snapshot_writer_text {
	const char *at;
	uint32_t offset; /* in the section of texts */
};

struct snapshot_writer {
	const struct snapshot *s;
	const struct frame_names *names; /* may be NULL */
	const char *version;
	unsigned depth;
	FILE *out;
	VEC(struct snapshot_writer_text) texts; /* by address */
	uint64_t texts_len;
	struct frame_table frames; /* each once */
	struct layout_crc crc_table;
	uint32_t crc;
	uint8_t buffer[4096];
	struct chunks chunks; /* in it */
	uint64_t written;
	int failed; /* -errno of the first write that did */
};

/* Of zeros, but for what is to be written, and where to; the struct stays where it is. */
void snapshot_writer_init(struct snapshot_writer *w);
void snapshot_writer_deinit(struct snapshot_writer *w);

/* Little-endian, as everything is. */
void snapshot_put_bytes(struct snapshot_writer *w, const void *bytes, size_t len);
void snapshot_put_uint(struct snapshot_writer *w, uint64_t value, unsigned width);
void snapshot_put_u32(struct snapshot_writer *w, uint64_t value);
void snapshot_put_u64(struct snapshot_writer *w, uint64_t value);
/* Hands on what is in the buffer: from here on w->crc is of all that was put. */
void snapshot_flush(struct snapshot_writer *w);

/* A section of `bytes`, in records of `record`; its end is put behind it. */
void snapshot_put_section(struct snapshot_writer *w, enum layout_section type, uint32_t record,
			  uint64_t bytes);
void snapshot_end_section(struct snapshot_writer *w);

/* All texts of the snapshot and the names, each once, with its offset.  0, -ENOMEM, or -EFBIG.
 */
int snapshot_gather_texts(struct snapshot_writer *w);
void snapshot_write_texts(struct snapshot_writer *w);
/* A reference to one of them; NULL and "" are none. */
void snapshot_put_text(struct snapshot_writer *w, const char *text);

/* Each section of the process (snapshot_process_write.c). */
void snapshot_write_process(struct snapshot_writer *w);
void snapshot_write_arguments(struct snapshot_writer *w);
void snapshot_write_modules(struct snapshot_writer *w);
void snapshot_write_threads(struct snapshot_writer *w);
void snapshot_write_not_followed(struct snapshot_writer *w);
void snapshot_write_mappings(struct snapshot_writer *w);
/* The sections of what was kept of the time before (snapshot_time_write.c), if it was. */
void snapshot_write_time(struct snapshot_writer *w);
/* The marks of the session (snapshot_marks_write.c), if there are any. */
void snapshot_write_marks(struct snapshot_writer *w);

#endif
