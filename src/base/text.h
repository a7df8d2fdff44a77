/* Small things about text that every room writes. */
#ifndef MEMTRACE_TEXT_H
#define MEMTRACE_TEXT_H

#include "base/types.h"

/* Writes "0a1b..", two digits a byte, and a final NUL: 2 * len + 1 bytes. */
void text_hex(char *ret, const uint8_t *bytes, size_t len);

/* What comes behind the last slash; all of it where there is none. */
const char *text_base_name(const char *path);

#endif
