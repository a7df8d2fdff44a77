/* Scalars with a meaning, shared by every room. */
#ifndef MEMTRACE_TYPES_H
#define MEMTRACE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An address or a size in the target.  Never a pointer: the target may have
 * another word size, and is another process in any case. */
typedef uint64_t taddr_t;

/* "0x7f..": how an address is printed, everywhere. */
#define TADDR_FORMAT "0x%" PRIx64

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
