/*
 * The course of a session: a sample of the totals each second, without the tracer's help, so
 * that nothing of the process waits for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "cli/session_parts.h"
#include "heap/verdicts.h"
#include "report/print.h"
#include "tracer/memory_limit.h"
#include "tracer/pss.h"

enum { SAMPLE_MS = 1000, MAX_BYTES = 1 << 30, PSS_NS = 1000000, PSS_RESIDENT = 128 << 20 };

static int64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* What the agent takes, which is shared memory (with us), is not the program's: of that part of PSS it has
 * as much as of what is resident of it. */
static uint64_t without_agent(const struct pss *pss, const struct capture_memory *memory)
{
	uint64_t agents = memory->all - memory->resident;

	if (!agents || !pss->all)
		return pss->all;
	if (!pss->shared || !memory->shared)
		return 0;
	agents = agents < memory->shared ? agents : memory->shared;
	return pss->all - (uint64_t)((double)pss->shared * (double)agents / (double)memory->shared);
}

/* PSS where it is cheap, as the process' own mmap() may wait for it: not of much memory, and no
 * more once it took a millisecond of CPU time. */
static uint64_t sample_pss(struct session *s, const struct capture_memory *memory)
{
	int64_t begin = cpu_ns();
	bool dear = s->pss_is_dear || memory->all > PSS_RESIDENT;
	struct pss pss = dear ? (struct pss){0, 0} : pss_read(capture_pid(s->capture));

	s->pss_is_dear |= cpu_ns() - begin > PSS_NS;
	return without_agent(&pss, memory);
}

/* False: they never stood still: the next one will. */
static bool sample(struct session *s, bool generation_ends, struct course_point *ret)
{
	struct course_point point = {.ms = clock_ms()};
	struct capture_memory memory;
	struct region_totals t;

	if (capture_totals(s->capture, generation_ends, &t, &memory))
		return false;
	point.resident = memory.resident;
	point.mapped = memory.mapped;
	point.allocs = t.allocs;
	point.frees = t.frees;
	point.in_use = t.allocated_bytes - t.freed_bytes;
	point.pss = sample_pss(s, &memory);
	point.obtained = allocators_sample(&s->allocators, capture_pid(s->capture), point.in_use);
	course_add(&s->course, &point);
	*ret = point;
	return true;
}

/* With -d alone there is no prompt: a line says how far it is. */
static void tell_left(struct session *s, const struct course_point *point)
{
	int64_t left = s->due[TIMER_DURATION] - clock_ms();
	unsigned seconds = left > 0 ? (unsigned)((left + 500) / 1000) : 0;
	uint64_t blocks = point->allocs - point->frees;
	char text[80], size[PRINT_SHORT_SIZE];

	if (!s->due[TIMER_DURATION] || !s->options->pid || s->console || s->in_shell)
		return;
	snprintf(text, sizeof(text), "%u:%02u:%02u left; %s bytes in %llu block%s in use",
		 seconds / 3600, seconds / 60 % 60, seconds % 60,
		 print_short_text(point->in_use, size), (unsigned long long)blocks,
		 blocks == 1 ? "" : "s");
	output_wait(&s->output, text);
}

void session_sample(struct session *s)
{
	uint32_t now = capture_now(s->capture);
	bool generation_ends = generations_are_due(&s->generations, now);
	struct course_point point;

	s->due[TIMER_SAMPLE] = s->state == RUNNING ? clock_ms() + SAMPLE_MS : 0;
	if (sample(s, generation_ends, &point))
		tell_left(s, &point);
	if (generation_ends && !capture_contexts(s->capture, &s->contexts))
		generations_add(&s->generations, s->contexts.at, (uint32_t)s->contexts.len, now);
}

void session_forget(struct session *s)
{
	marks_deinit(&s->marks);
	session_keep_look(s, NULL);
	course_clear(&s->course);
	generations_clear(&s->generations, capture_now(s->capture));
}

/* For the report on this snapshot. */
static int find_old(struct session *s, uint64_t min_age_ms, const struct birth_list *blocks,
		    const struct snapshot *snapshot, struct err *err)
{
	int64_t to = (int64_t)snapshot->ticks_now - (int64_t)(min_age_ms / 10);

	free(s->reporter.old);
	s->reporter.old = NULL;
	s->reporter.old_count = snapshot->context_count;
	if (!min_age_ms)
		return 0;
	/* (before counting began: none) */
	return births_in_span(blocks, to < 0 ? INT64_MAX : BIRTHS_EVER, to,
			      snapshot->context_count, &s->reporter.old, err);
}

static void take_limit(struct snapshot *snapshot)
{
	const struct memory_limit limit = memory_limit_read(snapshot->pid, "/sys/fs/cgroup");

	snapshot->verdicts->process.limit = limit.bytes;
	snapshot->verdicts->process.left = limit.left;
}

int session_snapshot_blocks(struct session *s, uint64_t min_age_ms, struct birth_list *blocks,
			    struct snapshot **ret, struct err *err)
{
	struct snapshot *snapshot;
	struct births births;
	int rc = capture_snapshot_births(s->capture, blocks, &snapshot, err);

	if (rc)
		return rc;
	rc = find_old(s, min_age_ms, blocks, snapshot, err);
	if (rc) {
		snapshot_destroy(snapshot);
		return rc;
	}
	/* (without memory it is a report without them) */
	if (blocks->cap &&
	    !births_create(&s->generations, blocks, snapshot->context_count, &births, err))
		err_ignore(verdicts_create(snapshot, &s->generations, &births, &s->course,
					   &snapshot->verdicts, NULL));
	if (snapshot->verdicts && s->seen && !s->findings)
		verdicts_see(snapshot->verdicts, s->seen, true);
	if (snapshot->verdicts && snapshot->running)
		take_limit(snapshot);
	if (s->course.count)
		snapshot->obtained_bytes = s->course.points[s->course.count - 1].obtained;
	snapshot->marks = &s->marks;
	*ret = snapshot;
	return 0;
}

int session_snapshot(struct session *s, uint64_t min_age_ms, struct snapshot **ret,
		     struct err *err)
{
	struct birth_list blocks = {0};
	int rc = session_snapshot_blocks(s, min_age_ms, &blocks, ret, err);

	vec_deinit(&blocks);
	return rc;
}

void session_course(struct session *s)
{
	uint64_t bytes = s->options->history;

	s->course.max_bytes = bytes < COURSE_MIN_BYTES ? COURSE_MIN_BYTES
			      : bytes > MAX_BYTES      ? MAX_BYTES
						       : (size_t)bytes;
	s->generations.max_bytes = s->course.max_bytes / 2;
	if (s->course.max_bytes >= 2 * COURSE_MIN_BYTES)
		s->course.max_bytes /= 2;
	generations_clear(&s->generations, capture_now(s->capture));
	session_sample(s);
}

int session_history(struct session *s, const struct command_call *call, struct err *err)
{
	struct course_point point;
	struct snapshot *snapshot;
	int rc;

	allocators_hurry(&s->allocators);
	sample(s, false, &point);
	if (!call->report.context) {
		rc = report_course(&s->course, call->report.count, s->output.out);
		return rc < 0 ? err_sys(err, rc, "writing") : 0;
	}
	rc = session_snapshot(s, 0, &snapshot, err);
	if (rc)
		return rc;
	rc = report_generations(snapshot, call->report.context, s->output.out, err);
	snapshot_destroy(snapshot);
	return rc;
}

/* "+40 bytes" */
static void print_change(FILE *out, uint64_t before, uint64_t now, const char *what)
{
	putc(now < before ? '-' : '+', out);
	print_count(out, now < before ? before - now : now - before, what);
}

void session_rates(struct session *s)
{
	const struct course_point *a = &s->monitored;
	struct course_point b;
	double seconds;

	if (!sample(s, false, &b))
		return;
	seconds = (double)(b.ms - a->ms) / 1000;
	if (a->ms && seconds > 0 && b.allocs >= a->allocs && b.frees >= a->frees) {
		fputs("    since the last: ", s->output.out);
		print_change(s->output.out, a->in_use, b.in_use, "byte");
		fputs(" in ", s->output.out);
		print_change(s->output.out, a->allocs - a->frees, b.allocs - b.frees, "block");
		fprintf(s->output.out, "; %.1f allocs/s, %.1f frees/s\n",
			(double)(b.allocs - a->allocs) / seconds,
			(double)(b.frees - a->frees) / seconds);
	}
	s->monitored = b;
}
