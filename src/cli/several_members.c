/*
 * Those that join: a control group, or those of a name.  The group's list, or that of all processes, is read
 * each second (cgroup.events tells but of a first and a last one).  A session ends when none has been left for
 * a while: a service that begins anew is followed on.
 */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cgroup.h"
#include "cli/process_name.h"
#include "cli/several_parts.h"
#include "tracer/handover.h"
#include "tracer/status.h"

enum { EACH_MS = 1000, NONE_MS = 2000, IN_ALL = 1000 };

static bool may_join(const struct options *o)
{
	bool named = false;

	for (size_t i = 0; i < o->processes.len; i++)
		named |= !process_name_is_number(o->processes.at[i]);
	return (named || o->group) && !o->clear && !options_look_only(o);
}

int members_init(struct several *s, struct err *err)
{
	s->members_join = may_join(s->options);
	/* (commands are for one of them by its place) */
	return !s->members_join || vec_reserve(&s->hands, s->options->pids.len + 1 + IN_ALL)
		       ? 0
		       : err_set(err, -ENOMEM, "memory is short");
}

/* (Its number may have been another one's, that has ended.) */
static bool is_followed(const struct several *s, pid_t pid)
{
	uint64_t start = status_start(pid);

	for (size_t i = 0; i < s->hands.len; i++) {
		const struct hand *hand = &s->hands.at[i];

		if (hand->target == pid && (!hand->ended || !start || hand->start == start))
			return true;
	}
	return false;
}

/* A child of one that is followed is handed over (several_births.c), and may not have been yet. */
static bool is_newborn(const struct several *s, pid_t pid)
{
	const uint64_t since = HANDOVER_MS / 1000 * (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return s->room && status_start(pid) + since >
				  (uint64_t)now.tv_sec * (uint64_t)sysconf(_SC_CLK_TCK);
}

/* A child of one that is followed has its parent's patches until that one's memtrace has put it back, or it
 * begins a program; nobody else can trace it before.  The next look is for it. */
static bool is_held(pid_t pid)
{
	struct status status;

	return !status_read(pid, 0, &status) && status.tracer && process_name_is_ours(status.tracer);
}

static void join(struct several *s, pid_t pid)
{
	struct err err;

	if (is_followed(s, pid) || is_newborn(s, pid) || is_held(pid))
		return;
	if (s->hands.len == s->hands.cap) {
		if (!s->refusal_told)
			output_warn(&s->output, "%zu processes were followed: those that join now "
						"are not",
				    s->hands.len);
		s->refusal_told = true;
	} else if (hand_start(s, pid, 0, &err)) {
		output_warn(&s->output, "%s", err.text);
	} else {
		s->hands.at[s->hands.len - 1].joined = true;
	}
	s->members_none = 0;
}

static bool is_over(const struct several *s)
{
	uint64_t passed = (uint64_t)(clock_ms() - s->started_ms);

	return s->options->duration_ms && passed >= s->options->duration_ms;
}

static bool lives(const struct hand *hand)
{
	return status_alive(hand->target) && status_start(hand->target) == hand->start;
}

bool members_may_come(struct several *s)
{
	if (!s->members_join || s->leaving || is_over(s))
		return false;
	for (size_t i = 0; i < s->hands.len; i++) /* (one that lives was left) */
		if (lives(&s->hands.at[i]))
			return false;
	if (!s->members_none)
		s->members_none = clock_ms();
	return clock_ms() - s->members_none < NONE_MS;
}

static void list_members(const struct options *o, struct tid_list *ret)
{
	if (o->group)
		cgroup_members(o->group, ret);
	for (size_t i = 0; i < o->processes.len; i++)
		if (!process_name_is_number(o->processes.at[i]))
			err_ignore(process_name_find(o->processes.at[i], ret, NULL)); /* (all have ended) */
}

void members_look(struct several *s)
{
	struct tid_list list = {0};

	if (!s->members_join || s->leaving || is_over(s) || clock_ms() < s->members_due)
		return;
	s->members_due = clock_ms() + EACH_MS;
	list_members(s->options, &list);
	for (size_t i = 0; i < list.len; i++)
		join(s, list.at[i]);
	vec_deinit(&list);
}
