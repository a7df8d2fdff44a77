/*
 * Children are let go as they are born (capture/dispatcher.c), so a report on a wrapper, or on the
 * first of a service's processes, says nothing of those that do the work: the last line names them,
 * and how to see them.
 *
 * They are looked for by themselves, soon at first (a wrapper starts its program at once, and that
 * may end at once), then each second.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "cli/process_name.h"
#include "cli/session_parts.h"
#include "report/print.h"

enum { FIRST_MS = 5, LAST_MS = 1000, QUICK_LOOKS = 40, NAMED = 4 };

/* Less is what a process has that does nothing. */
enum { WORTH_KB = 256 };

void session_children_timer(struct session *s)
{
	if (s->children_looks++ < QUICK_LOOKS)
		s->children_ms = FIRST_MS;
	else if (s->children_ms < LAST_MS)
		s->children_ms *= 2;
	s->due[TIMER_CHILDREN] = s->state == RUNNING ? clock_ms() + s->children_ms : 0;
	family_look(&s->family, capture_pid(s->capture), 0);
}

/* Of a process that runs on: what its child has that is not worth a line is left out. */
static bool is_worth_it(const struct session *s, const struct relative *r)
{
	for (size_t i = 0; i < s->options->pids.len; i++)
		if (s->options->pids.at[i] == r->pid)
			return false; /* another session's (several.h) */
	if (s->options->result && (s->options->group || process_name_is(r->pid, &s->options->processes)))
		return false; /* .. that has joined, or is about to */
	return r->alive && (s->ending.end != CAPTURE_DETACHED || !r->private_kb ||
			    r->private_kb >= WORTH_KB);
}

static void print_one(FILE *out, const struct relative *r, const char *name)
{
	fprintf(out, "%d (%s", (int)r->pid, name);
	if (r->private_kb) {
		fputs(", ", out);
		print_size(out, r->private_kb * 1024);
	}
	fputc(')', out);
}

/* "Its child 4711 (nginx, 2.3 MiB) runs on and is not watched: memtrace -p 4711"
 * "Its children 4711 (nginx, 2.3 MiB), 4712 (nginx, 1.1 MiB) and 3 more run on and are ..." */
static void tell_alive(struct session *s, FILE *out, size_t count)
{
	const struct relative *most = NULL;
	size_t named = 0;

	fputs(count == 1 ? "Its child " : "Its children ", out);
	for (size_t i = 0; i < s->family.len; i++) {
		const struct relative *r = &s->family.at[i];

		if (!is_worth_it(s, r))
			continue;
		most = !most || r->private_kb > most->private_kb ? r : most;
		if (named++ >= NAMED)
			continue;
		fputs(named > 1 ? ", " : "", out);
		print_one(out, r, r->name);
	}
	if (named > NAMED)
		fprintf(out, " and %zu more", named - NAMED);
	fprintf(out, " %s not watched", count == 1 ? "runs on and is" : "run on and are");
	if (most)
		fprintf(out, ": memtrace -p %d", (int)most->pid);
}

/* Of those that have ended: the program with the most memory. */
static const struct relative *largest(const struct family *family)
{
	const struct relative *found = NULL;

	for (size_t i = 0; i < family->len; i++) {
		const struct relative *r = &family->at[i];

		if (r->program && !r->alive && (!found || r->private_kb > found->private_kb))
			found = r;
	}
	return found;
}

/* A session on one process is for that one; several of a name would have those that begin, too. */
static void tell_namesakes(const struct session *s, FILE *out)
{
	const struct option_list *words = &s->options->processes;
	const char *name = words->len == 1 && !s->options->result ? words->at[0] : NULL;
	struct tid_list list = {0};
	size_t count = 0;

	if (!name || process_name_is_number(name))
		return;
	err_ignore(process_name_find(name, &list, NULL)); /* (none is, any more) */
	for (size_t i = 0; i < list.len; i++)
		count += list.at[i] != capture_pid(s->capture);
	vec_deinit(&list);
	if (count)
		fprintf(out, "%zu more %s '%s' by now, and %s not watched: memtrace -p %s", count,
			count == 1 ? "process is called" : "processes are called", name,
			count == 1 ? "is" : "are", name);
}

static void tell(struct session *s, FILE *out)
{
	const struct relative *ended = largest(&s->family);
	size_t count = 0;

	for (size_t i = 0; i < s->family.len; i++)
		count += is_worth_it(s, &s->family.at[i]);
	if (count) {
		tell_alive(s, out, count);
	} else if (ended && s->ending.end != CAPTURE_DETACHED) {
		fputs("Its child ", out);
		print_one(out, ended, ended->name);
		if (s->options->program || s->options->born) /* (born: of what a wrapper led to, wrapper.h) */
			fprintf(out, " ran and was not watched: memtrace --follow=%s ...",
				ended->name);
		else
			fprintf(out, " ran and was not watched: memtrace %s", ended->command);
	} else {
		tell_namesakes(s, out);
	}
}

void session_children_tell(struct session *s)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	family_look(&s->family, capture_pid(s->capture), capture_child(s->capture));
	tell(s, out);
	fclose(out);
	if (text && *text)
		output_log(&s->output, "%s", text);
	free(text);
}
