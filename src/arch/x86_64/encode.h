/* x86-64 code being written; reach is that of a rel32. */
#ifndef MEMTRACE_X86_64_ENCODE_H
#define MEMTRACE_X86_64_ENCODE_H

#include "arch/encode.h"

/* The displacement to target, for a field whose instruction ends `behind` bytes after it. */
static inline void encode_rel32(struct encoder *e, taddr_t target, size_t behind)
{
	int64_t rel = (int64_t)(target - (encode_here(e) + 4 + behind));

	if (rel != (int32_t)rel)
		e->out_of_reach = true;
	encode_u32(e, (uint32_t)rel);
}

static inline void encode_jmp(struct encoder *e, taddr_t target)
{
	encode_bytes(e, (const uint8_t[]){0xe9}, 1);
	encode_rel32(e, target, 0);
}

static inline void encode_call(struct encoder *e, taddr_t target)
{
	encode_bytes(e, (const uint8_t[]){0xe8}, 1);
	encode_rel32(e, target, 0);
}

static inline void encode_jcc(struct encoder *e, uint8_t condition, taddr_t target)
{
	encode_bytes(e, (const uint8_t[]){0x0f, (uint8_t)(0x80 | condition)}, 2);
	encode_rel32(e, target, 0);
}

#endif
