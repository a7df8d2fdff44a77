/*
 * LeakSanitizer (of gcc, clang; alone or in AddressSanitizer) stops its process' threads by
 * ptrace when the program ends.  A thread has one tracer: under memtrace that fails, and the
 * program ends with an error that it does not have.
 */
#include "cli/lsan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFF "detect_leaks=0"

/* LSAN_OPTIONS holds for AddressSanitizer, too, and is read after ASAN_OPTIONS. */
static const char *const variables[] = {"LSAN_OPTIONS", "ASAN_OPTIONS"};

static bool is_off(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		const char *value = getenv(variables[i]);

		if (value && strstr(value, OFF))
			return true;
	}
	return false;
}

/* Behind what is there: the last word counts. */
static bool turn_off(void)
{
	const char *before = getenv(variables[0]);
	char *value;
	bool done;

	if (asprintf(&value, "%s%s" OFF, before ? before : "", before && *before ? ":" : "") <
	    0)
		return false;
	done = setenv(variables[0], value, 1) == 0;
	free(value);
	return done;
}

void lsan_check(const struct lacking *lacking, const struct options *options,
		struct output *output)
{
	if (!lacking_has_lsan(lacking))
		return;
	if (options->pid)
		output_warn(output,
			    "pid %d has LeakSanitizer, which fails if the process ends while "
			    "memtrace is there",
			    options->pid);
	else if (!is_off() && turn_off())
		output_warn(
			output,
			"%s has LeakSanitizer, which cannot work under memtrace: it is started "
			"with LSAN_OPTIONS=" OFF,
			options->program[0]);
}
