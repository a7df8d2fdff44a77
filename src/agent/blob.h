/*
 * The agent as bytes: what is mapped in a target (made by the Makefile of the files of this
 * folder and region/, freestanding, for the CPU that memtrace is built for).
 *
 *    0                      BLOB_BYTES   + BLOB_CONTROL
 *    +-----------------------+----------+
 *    | head | code, tables   | control  |      all of it is readable and executable, and nothing
 *    +-----------------------+----------+      in the target writes to it
 *
 * It is the same at every address, and calls nothing else.  Both parts are written by memtrace
 * alone, through the kernel.  The control page is zeros in the child of a fork
 * (MADV_WIPEONFORK): there the agent is off.  But a handler that interrupts the agent may fork,
 * and then the child returns into it: so what it reads after that first look is in the head.
 */
#ifndef MEMTRACE_BLOB_H
#define MEMTRACE_BLOB_H

#include "region/shared.h"

#ifdef __aarch64__
enum { BLOB_BYTES = 65536, BLOB_CONTROL = 65536 }; /* pages of 4, 16 or 64 KB */
#elif defined(__arm__)
enum { BLOB_BYTES = 20480, BLOB_CONTROL = 4096 }; /* (A32 before ARMv6T2) */
#else
enum { BLOB_BYTES = 16384, BLOB_CONTROL = 4096 };
#endif
enum { BLOB_HEAD = 128, BLOB_SHARED_AT = 32 };
enum { BLOB_LINKED_AT = 0x100000 }; /* what its unwind data calls its first byte */

/* What begins it: a later memtrace knows it by that. */
struct blob_head {
	uint8_t magic[8]; /* W the build, as up to `name`; the last byte is the version */
	uint32_t entry;	  /* offset of agent_entry, what the stubs' gate calls */
	uint32_t bytes;	  /* used */
	char name[16];	  /* of the shared memory's file, ending with a zero */
	union {
		struct shared shared; /* W memtrace before the agent is on, R agent */
		uint8_t room[64];
	};
	uint64_t memory_bytes; /* W, R memtrace: of the shared memory, from shared.base on */
	uint32_t pointer_read;	  /* offsets: the one instruction that reads where the thread
				   * pointer points to, ... */
	uint32_t without_pointer; /* ... and where to go on when that faults */
	uint8_t reserved[16];
};

struct blob_control {
	uint32_t on; /* W memtrace, R agent: 0: every call goes to the trap */
};

_Static_assert(sizeof(struct blob_head) == BLOB_HEAD, "the linker script has it, too");
_Static_assert(offsetof(struct blob_head, shared) == BLOB_SHARED_AT, "and this");
_Static_assert(offsetof(struct blob_head, pointer_read) == 104, "and this");

extern const uint8_t blob_bytes[]; /* begins with its head */
extern const uint32_t blob_len;	   /* 0: there is none for this CPU */
extern const uint8_t blob_frames[]; /* .debug_frame: how its frames are unwound */
extern const uint32_t blob_frames_len;

#endif
