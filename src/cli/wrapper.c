/*
 * `memtrace timeout 20 ./server` is about the server: the first program that a wrapper starts is followed from
 * its first instruction, and the report is as if it had been started alone.
 *
 * By name, as nothing that a program does before its first child tells a wrapper from a script, of which
 * each program that it starts would be another one (ARCHITECTURE.md, "Where the design turned out
 * otherwise").
 */
#include "cli/wrapper.h"

#include <string.h>

#include "base/text.h"
#include "capture/parts.h"

/* Who waits for the other one.  (Others become it: env, nice, setpriv.) */
static const char *const wrappers[] = {"timeout", "time", "flock", "setsid", "unshare", "nsenter", "script", "sudo", "su",
				       "runuser", "dbus-run-session"};

bool wrapper_is(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrappers); i++)
		if (!strcmp(name, wrappers[i]))
			return true;
	return false;
}

/* Where it would not be as if the program had been started alone, the report is on the wrapper, and its last
 * line says which program that was. */
static bool is_alone(const struct options *o)
{
	return o->interactive || o->every_ms || o->listen || o->stay || o->record || o->record_case || o->doctor ||
	       o->selftest || o->pid;
}

void wrapper_look_behind(struct options *o)
{
	if (!parts_have(PART_several) || !o->program || o->follow_given || is_alone(o) ||
	    !wrapper_is(text_base_name(o->program[0])))
		return;
	o->follow = "exec";
	o->follow_behind = o->follow_programs = true;
}
