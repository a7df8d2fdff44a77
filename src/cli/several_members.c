/*
 * The members of a control group: those that join it are followed from then on.  Its list is read each
 * second (cgroup.events tells but of a first and a last one).  A session with a group ends with the last
 * of its members.
 */
#include <errno.h>

#include "base/clock.h"
#include "cli/cgroup.h"
#include "cli/several_parts.h"

enum { EACH_MS = 1000, IN_ALL = 1000 };

int members_init(struct several *s, struct err *err)
{
	return vec_reserve(&s->hands, s->options->pids.len + 1 + IN_ALL)
		       ? 0
		       : err_set(err, -ENOMEM, "memory is short");
}

static bool is_followed(const struct several *s, pid_t pid)
{
	for (size_t i = 0; i < s->hands.len; i++)
		if (s->hands.at[i].target == pid)
			return true;
	return false;
}

static void join(struct several *s, pid_t pid)
{
	struct err err;

	if (is_followed(s, pid))
		return;
	if (s->hands.len == s->hands.cap) {
		if (!s->refusal_told)
			output_warn(&s->output, "%zu processes were followed: those that join now "
						"are not",
				    s->hands.len);
		s->refusal_told = true;
	} else if (hand_start(s, pid, 0, &err)) {
		output_warn(&s->output, "%s", err.text);
	}
}

void members_look(struct several *s)
{
	struct tid_list list = {0};

	if (!s->options->group || s->leaving || clock_ms() < s->members_due)
		return;
	s->members_due = clock_ms() + EACH_MS;
	cgroup_members(s->options->group, &list);
	for (size_t i = 0; i < list.len; i++)
		join(s, list.at[i]);
	vec_deinit(&list);
}
