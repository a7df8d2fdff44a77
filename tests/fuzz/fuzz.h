/*
 * A fuzz target: one function that takes any bytes and must come back.  What holds
 * for every input is asserted in it; a crash, a failed assertion, or an endless loop
 * is a defect of ours, whatever the bytes are.
 *
 *   make fuzz    libFuzzer (clang) looks for such bytes
 *   make check   replay.c runs what is in corpus/NAME/, and needs no clang
 *
 * A crash that was mended stays in the corpus as its reproducer.
 */
#ifndef MEMTRACE_FUZZ_H
#define MEMTRACE_FUZZ_H

#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* libFuzzer's name for it: https://llvm.org/docs/LibFuzzer.html.  Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte, so that a sanitizer (or the guard page of replay.c) sees what
 * lies outside. */
static inline void fuzz_touch(const void *bytes, size_t len)
{
	const volatile uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		(void)at[i];
}

#endif
