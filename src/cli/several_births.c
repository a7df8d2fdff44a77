/*
 * Children that are followed: each is a hand's own, as if it had been named by -p, but from its birth.
 *
 * Bounded: so many at once, and so many in all (a report has a section of each).  Whom there is no
 * room for runs as if nobody were there, and is told of.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/heirs.h"
#include "cli/several_parts.h"

enum { AT_ONCE = 64, IN_ALL = 1000 };

int births_init(struct several *s, struct err *err)
{
	void *map = mmap(NULL, sizeof(*s->room), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);

	/* (commands are for one of them by its place) */
	if (map == MAP_FAILED || !vec_reserve(&s->hands, s->options->pids.len + 1 + IN_ALL))
		return err_set(err, -ENOMEM, "memory is short");
	s->room = map;
	atomic_store(&s->room->left, AT_ONCE);
	atomic_store(&s->room->total, IN_ALL);
	return 0;
}

static void decline(struct several *s, int file)
{
	heirs_decline(file);
	heirs_give_room_back(s->room);
}

void births_take(struct several *s, struct hand *hand)
{
	struct err err;
	pid_t pid;
	int file;

	while (hand->births >= 0 && heirs_receive(hand->births, &pid, &file)) {
		if (s->leaving || s->hands.len == s->hands.cap) {
			decline(s, file);
		} else if (hand_start(s, pid, file, &err)) {
			decline(s, file);
			output_warn(&s->output, "%s", err.text);
		}
		close(file);
	}
}

/* (Its other end is closed: it would be found readable for ever.) */
void births_end(struct several *s, struct hand *hand)
{
	if (s->room && hand->born)
		atomic_fetch_add(&s->room->left, 1);
	if (hand->births >= 0)
		close(hand->births);
	hand->births = -1;
}

void births_stop(struct several *s)
{
	if (s->room)
		atomic_store(&s->room->total, 0);
}

void births_tell(struct several *s)
{
	int refused = s->room ? atomic_load(&s->room->refused) : 0;

	if (!refused || s->leaving || s->refusal_told)
		return;
	s->refusal_told = true;
	output_warn(&s->output,
		    "%d children are followed at once, and %d in all: those beyond run on "
		    "unwatched",
		    AT_ONCE, IN_ALL);
}
