/*
 * What of a stack is shown.
 *
 *     malloc()                                   folded: the way into the allocator
 *     std::vector<...>::push_back()
 *     add() in a.c:9
 *     walk() in a.c:20               walk() in a.c:20 (x31)
 *     walk() in a.c:20       -->
 *     ...
 *     eval() in b.c:3                eval() in b.c:3
 *     call() in b.c:7                call() in b.c:7
 *     eval() in b.c:3        -->         ... the 2 lines above: x15
 *     ...
 *
 * Frames recur when their lines look the same (frames_look_same()).
 */
#include "report/stack.h"

/* A cycle of more functions is not looked for; nor is one that comes back but once. */
enum { LONGEST_CYCLE = 12, TIMES = 3 };

static bool is_same(const struct names *names, frame_t a, frame_t b)
{
	const struct named_frame *x, *y;

	if (a == b)
		return true;
	x = names_find(names, a);
	y = names_find(names, b);
	if (!x || !y || x->count != y->count)
		return !x && !y;
	for (uint32_t i = 0; i < x->count; i++) {
		struct names_line one = names_line(names, x, i),
				  other = names_line(names, y, i);

		if (!frames_look_same(&one, &other))
			return false;
	}
	return true;
}

/* How often the first `cycle` frames come, one after the other. */
static size_t times(const struct names *names, const frame_t *frames, size_t count,
		    size_t cycle)
{
	size_t same = cycle;

	while (same < count && is_same(names, frames[same], frames[same - cycle]))
		same++;
	return same / cycle;
}

/* The shortest cycle that frames begin with, and how often it comes; 1 and 1: none. */
static size_t find_cycle(const struct names *names, const frame_t *frames, size_t count,
			 size_t *ret)
{
	for (size_t cycle = 1; cycle <= LONGEST_CYCLE && cycle * TIMES <= count; cycle++) {
		*ret = times(names, frames, count, cycle);
		if (*ret >= TIMES)
			return cycle;
	}
	*ret = 1;
	return 1;
}

/* The lines of a frame but for the first `skip`, without the last newline.  Returns how many.
 */
static size_t print_lines(FILE *out, const struct named *named, frame_t frame, uint32_t skip)
{
	const struct named_frame *found = names_find(named->names, frame);
	const char *text;
	size_t len;

	if (!found || skip >= found->count)
		return 0;
	text = rendered_text(named->text, found->first + skip, found->count - skip, &len);
	fwrite(text, 1, len - 1, out);
	return found->count - skip;
}

static void print_cycle(FILE *out, const struct named *named, const frame_t *frames,
			size_t cycle, size_t times)
{
	size_t lines = 0;

	for (size_t i = 0; i < cycle; i++) {
		size_t count = print_lines(out, named, frames[i], 0);

		lines += count;
		if (count && times > 1 && cycle == 1 && lines == 1)
			fprintf(out, " (x%zu)", times);
		if (count)
			putc('\n', out);
	}
	if (times > 1 && lines > 1)
		fprintf(out, "        ... the %zu lines above: x%zu\n", lines, times);
}

/* Whether a frame is nothing but a way into the allocator. */
static bool is_folded(const struct names *names, frame_t frame, uint32_t *folded)
{
	const struct named_frame *found = names_find(names, frame);

	*folded = found ? names_count_folded(names, found) : 0;
	return found && *folded == found->count;
}

/* Where a stack begins for who asks which function of his it was: behind the way into the
 * allocator, and, in the frame there, behind what was inlined to allocate.  A stack of nothing
 * else is shown all. */
static size_t first_shown(const struct names *names, const frame_t *frames, size_t count,
			  uint32_t *skip)
{
	for (size_t i = 0; i < count; i++)
		if (!is_folded(names, frames[i], skip))
			return i;
	*skip = 0;
	return 0;
}

void stack_print(FILE *out, const struct named *named, const frame_t *frames, size_t count,
		 bool whole)
{
	uint32_t skip = 0;
	size_t i = whole ? 0 : first_shown(named->names, frames, count, &skip), cycle, n;

	if (skip && print_lines(out, named, frames[i++], skip))
		putc('\n', out);
	for (; i < count; i += cycle * n) {
		cycle = n = 1;
		if (!whole)
			cycle = find_cycle(named->names, frames + i, count - i, &n);
		print_cycle(out, named, frames + i, cycle, n);
	}
}
