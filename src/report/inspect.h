/* Answers about single blocks, in text: of a picture that is still there. */
#ifndef MEMTRACE_INSPECT_H
#define MEMTRACE_INSPECT_H

#include "report/path.h"

/* The way from a root to the block; of several to most of them; and what would go with them. */
void inspect_why(FILE *out, const struct path_names *names, struct leak *leak,
		 const uint32_t *blocks, size_t count);
/* All places that point to the block. */
void inspect_who(FILE *out, const struct path_names *names, struct leak *leak, taddr_t addr);
/* Size, class, content, and its first words; memory: where they are read. */
void inspect_block(FILE *out, const struct path_names *names, struct memory *memory, struct leak *leak,
		   uint32_t block);

#endif
