/*
 * Seccomp filters: arbitrary programs on arbitrary system calls.
 *
 *   input: struct seccomp_data, then instructions, 8 bytes each
 *
 * What is held: a program ends, and what it says depends on nothing but the call.
 */
#include <string.h>

#include "fuzz.h"
#include "tracer/seccomp.h"

enum { PROGRAM_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sock_filter program[PROGRAM_MAX];
	struct seccomp_data call;
	size_t len;

	if (size < sizeof(call))
		return 0;
	memcpy(&call, data, sizeof(call));
	len = (size - sizeof(call)) / sizeof(program[0]);
	len = len < PROGRAM_MAX ? len : PROGRAM_MAX;
	memcpy(program, data + sizeof(call), len * sizeof(program[0]));
	assert(seccomp_run(program, len, &call) == seccomp_run(program, len, &call));
	assert(seccomp_run(program, 0, &call) == SECCOMP_RET_KILL_PROCESS);
	return 0;
}
