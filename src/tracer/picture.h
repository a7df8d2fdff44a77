/*
 * A picture of a process: its registers and its memory at one moment.
 *
 *    the process runs:     smaps_read() (smaps.h)
 *    all threads stopped:  picture_take(): registers; a copy of the process (copy.h), or, where
 *                          none can be made, the process itself, which then is stopped as long
 *                          as it is looked at
 *    it runs on:           picture->memory is read by any thread, at leisure
 *                          picture_end(), by any thread; picture_destroy()
 *
 * What of the memory is no picture: shared mappings are as they are when they are read, those
 * of devices are never read.  What a copy does not have (MADV_DONTFORK, MADV_WIPEONFORK) is
 * copied by us, in the pause.
 */
#ifndef MEMTRACE_PICTURE_H
#define MEMTRACE_PICTURE_H

#include "tracer/smaps.h"
#include "tracer/tracee.h"
#include "tracer/undo.h"

struct picture_thread {
	int tid;
	char name[16];
	taddr_t sp, pc;
	taddr_t pointer;      /* the thread pointer; 0: not known */
	bool in_call;	      /* in the kernel by a call of its own */
	uint64_t *registers; /* general ones, in the order of the register set; NULL: not known */
	size_t register_count;
	void *vectors; /* NULL: none */
	size_t vectors_len;
};

struct picture_piece {
	struct range range;
	uint8_t *bytes;
};

struct picture {
	struct memory memory; /* first */
	const struct arch *arch;
	pid_t pid;
	pid_t copy;				   /* 0: the process itself, which is stopped */
	char why[sizeof(((struct err *)0)->text)]; /* there is no copy */
	struct target target; /* whose memory is read */
	struct target shared; /* the process', for what of shared mappings it uses */
	struct maps maps;
	struct smaps look;
	struct ranges far;
	VEC(struct picture_thread) threads;
	VEC(struct picture_piece) pieces; /* ascending */
	uint64_t copied_ns;		  /* time that this took: of the pause */
};

/*
 * How long the process would be stopped, in nanoseconds, by what was measured (see
 * ARCHITECTURE.md): 17 us a MB, 1 in huge pages, and some for each thread; without a copy a
 * second a GB.
 */
uint64_t picture_expected_ns(const struct smaps *look, size_t threads, bool copy);

/*
 * All threads are stopped.  `look` is taken over.  no_copy: why none is to be made, or NULL.
 * Without one (ret->why) the process has to be stopped until the picture's end.  -EAGAIN: let
 * the threads run a moment, and try again; `look` is the caller's still.
 */
int picture_take(struct tracee *tracee, struct undo *undo, struct smaps *look,
		 const char *no_copy, struct picture **ret, struct err *err) MUST_CHECK;
/* The copy ends; nothing can be read any more.  By any thread, once or more. */
void picture_end(struct picture *picture);
void picture_destroy(struct picture *picture); /* NULL is allowed */

/* The first piece of [addr, end) that may have other content than zeros; false: none. */
bool picture_present(void *picture, taddr_t addr, taddr_t end, struct range *ret);

#endif
