/*
 * A question about a heap that somebody else is to answer, who has more memory: all that
 * leak_create() is given but the memory itself, and what is asked.  As bytes it is the description
 * of LOOK in doc/protocol.md.
 */
#ifndef MEMTRACE_QUESTION_H
#define MEMTRACE_QUESTION_H

#include "base/fields.h"
#include "heap/leak/leak.h"
#include "heap/mapped.h"

enum question_kind { /* stable numbers */
	QUESTION_FINDINGS = 1, /* answer: findings_bytes.h */
	QUESTION_LOST = 2,     /* the addresses of lost blocks, u64 each, ascending */
	/* (answer of the others: an address u64, a context u32, or 0; and a text) */
	QUESTION_WHY = 3,
	QUESTION_WHO = 4,
	QUESTION_BLOCK = 5,
	QUESTION_HEAP = 6,
};

struct question_thread {
	struct leak_thread thread; /* of the registers only what this has */
	uint64_t *regs;		   /* its registers and vectors: read, they are ours */
	void *extra;
	char name[16];
};

struct question_module {
	struct module module; /* instance, id.path, begin, end, bias, vdso */
	bool has_file;	      /* that can be read */
	bool has_image;
};

struct question {
	uint8_t kind;
	uint16_t machine; /* EM_*, little-endian */
	uint8_t elf_class;
	uint32_t context_count; /* FINDINGS: ids are below */
	uint64_t blocks;	/* FINDINGS, HEAP: at most; 0: all */
	uint32_t paths;
	taddr_t address;  /* WHY, WHO, BLOCK; 0: none */
	uint32_t context; /* WHY: of a call stack; 0: of the address */
	const char *other; /* HEAP: whose memory is not malloc's; "": not known */
	/* These are fetched apart, as they are many. */
	uint64_t live_count;
	bool confirmed;
	uint64_t confirmed_count;
	struct maps maps; /* of its list only */
	VEC(struct question_module) modules; /* ascending */
	VEC(struct question_thread) threads;
	VEC(struct mapping_use) uses;
	VEC(struct mapped_range) mapped;
};

enum { QUESTION_BYTES_MAX = 64 << 20 };

/* Writes it; false: no memory. */
bool question_write(struct fields *fields, struct question *question);
/* Nothing is believed: what it says is in order, and of a kind.  Texts are in the bytes. */
int question_read(const uint8_t *bytes, size_t len, struct question *ret,
		  struct err *err) MUST_CHECK;
/* Of what was read, or made of what is somebody else's (read: false). */
void question_deinit(struct question *question, bool read);

/* Records of what is fetched apart: bytes. */
enum { QUESTION_LIVE_BYTES = 20, QUESTION_ADDRESS_BYTES = 8 };
void question_live(struct fields *fields, struct leak_live *live);

#endif
