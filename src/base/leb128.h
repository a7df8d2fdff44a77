/* Numbers of as many bytes as they need: unsigned LEB128 (DWARF 5, 7.6). */
#ifndef MEMTRACE_LEB128_H
#define MEMTRACE_LEB128_H

#include "base/types.h"

enum { LEB128_MAX = 10 }; /* bytes of 64 bits */

/* Where the next one goes. */
uint8_t *leb128_put(uint8_t *at, uint64_t value);

/* The number at *at, which is moved behind it.  False: it is cut short by `end`, or is of more
 * than 64 bits. */
bool leb128_take(const uint8_t **at, const uint8_t *end, uint64_t *ret);

#endif
