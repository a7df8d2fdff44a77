/*
 * An allocator may begin late (a program that was just started has none), a second one may come by
 * dlopen(), and all of them go with an exec(): so they are looked for again, at first each second,
 * then more and more seldom, and at once when they can't be read any more.  Where what was just found
 * can't be read either (a heap that is broken, a process that stands within a change of it), it is
 * looked for as seldom as what is not there.
 *
 * Nobody is waited for: what a page server must bring can't be read here (target.h), and of files of
 * file systems that may not answer only what is there already.
 */
#include "cli/allocators.h"

#include <time.h>

#include "arch/cpu.h"
#include "base/clock.h"
#include "cli/parts.h"
#include "elf/mounts.h"

enum { FIND_MS = 1000, SELDOM_MS = 300000, SHARE = 1000 };

static int64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* When what began at `begin` may be done again. */
static int64_t due_after(int64_t begin, int64_t pause)
{
	int64_t dear = (cpu_ns() - begin) * SHARE / 1000000;

	return clock_ms() + (dear > pause ? dear : pause);
}

static void note_far(struct allocators *a, const struct maps *maps)
{
	struct mounts mounts;

	vec_clear(&a->far);
	mounts_read(a->pid, &mounts);
	for (size_t i = 0; i < maps->list.len; i++) {
		const struct mapping *m = &maps->list.at[i];

		if (m->inode && !mounts_are_local(&mounts, m->dev, m->path))
			(void)vec_push(&a->far, ((struct range){m->begin, m->end}));
	}
	mounts_deinit(&mounts);
}

static struct obtained *find(struct allocators *a)
{
	const struct arch *arch = arch_native();
	const struct leak_cpu cpu = {arch->elf_machine, arch->word_size, arch->pointer_tag_bits,
				     arch->red_zone};
	struct obtained *found = NULL;
	struct maps maps;

	if (maps_read(a->pid, &maps, NULL))
		return NULL;
	note_far(a, &maps);
	found = obtained_find(&a->target.memory, &maps, &cpu);
	maps_deinit(&maps);
	return found;
}

void allocators_deinit(struct allocators *a)
{
	obtained_destroy(a->found);
	if (a->pid)
		target_close(&a->target);
	vec_deinit(&a->far);
	*a = (struct allocators){0};
}

/* They can't be read.  For the first time that is another program, or a library that is gone: then
 * they may be found at once. */
static void lose_them(struct allocators *a)
{
	const struct allocators was = *a;

	allocators_deinit(a);
	a->missed = true;
	if (was.missed) {
		a->find_due = was.find_due;
		a->find_pause = was.find_pause;
	}
}

/* False: there is nothing to read. */
static bool look_for_them(struct allocators *a, pid_t pid)
{
	struct obtained *found;
	int64_t begin = cpu_ns();

	if (a->pid && a->pid != pid)
		allocators_deinit(a);
	if (clock_ms() < a->find_due)
		return a->found != NULL;
	if (!a->pid && target_open(&a->target, pid, NULL))
		return false;
	a->pid = pid;
	a->target.far = &a->far;
	a->target.unanswered = UINT32_MAX; /* (no page is fetched) */
	found = find(a);
	if (found) {
		obtained_destroy(a->found);
		a->found = found;
	}
	a->find_pause = a->find_pause ? a->find_pause * 2 : FIND_MS;
	if (a->find_pause > SELDOM_MS)
		a->find_pause = SELDOM_MS;
	a->find_due = due_after(begin, a->find_pause);
	return a->found != NULL;
}

static bool read_them(struct allocators *a)
{
	int64_t begin = cpu_ns(), due;
	bool known;

	if (clock_ms() < a->read_due)
		return true;
	known = obtained_read(a->found, &a->bytes);
	due = due_after(begin, 0);
	if (known)
		a->read_due = due;
	else if (due > a->find_due)
		a->find_due = due;
	a->missed &= !known;
	return known;
}

uint64_t allocators_sample(struct allocators *a, pid_t pid, uint64_t in_use)
{
	if (!parts_have(PART_looks) || !pid)
		return 0;
	for (int i = 0; i < 2 && look_for_them(a, pid); i++) {
		if (read_them(a))
			return a->bytes >= in_use ? a->bytes : 0;
		lose_them(a);
	}
	return 0;
}

void allocators_hurry(struct allocators *a)
{
	a->read_due = 0;
	if (!a->found)
		a->find_due = 0;
}
