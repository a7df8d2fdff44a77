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
 * Frames recur when their text does: which of its calls a function made, where lines are not
 * known, is not shown either.
 */
#include "report/stack.h"

#include <string.h>

/* A cycle of more functions is not looked for; nor is one that comes back but once. */
enum { LONGEST_CYCLE = 12, TIMES = 3 };

struct piece {
	const char *text;
	size_t len, lines;
};

static struct piece piece_of(const struct names *names, frame_t frame, unsigned skip)
{
	const struct names_entry *entry = names_find(names, frame);
	struct piece piece = {"", 0, 0};

	if (!entry)
		return piece;
	piece.text = names_text(names, entry);
	piece.len = entry->len;
	for (; skip; skip--) {
		const char *next = (const char *)memchr(piece.text, '\n', piece.len) + 1;
		piece.len -= (size_t)(next - piece.text);
		piece.text = next;
	}
	for (size_t i = 0; i < piece.len; i++)
		piece.lines += piece.text[i] == '\n';
	return piece;
}

static bool is_same(const struct names *names, frame_t a, frame_t b)
{
	struct piece x, y;

	if (a == b)
		return true;
	x = piece_of(names, a, 0);
	y = piece_of(names, b, 0);
	return x.len == y.len && !memcmp(x.text, y.text, x.len);
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

static void print_cycle(FILE *out, const struct names *names, const frame_t *frames,
			size_t cycle, size_t times)
{
	struct piece piece = piece_of(names, frames[0], 0);
	size_t lines = piece.lines;

	if (times > 1 && cycle == 1 && lines == 1) {
		fwrite(piece.text, 1, piece.len - 1, out);
		fprintf(out, " (x%zu)\n", times);
		return;
	}
	fwrite(piece.text, 1, piece.len, out);
	for (size_t i = 1; i < cycle; i++) {
		piece = piece_of(names, frames[i], 0);
		lines += piece.lines;
		fwrite(piece.text, 1, piece.len, out);
	}
	if (times > 1)
		fprintf(out, "        ... the %zu lines above: x%zu\n", lines, times);
}

/* How many frames from the leaf on are ways into the allocator; 0 if the whole stack is. */
static size_t count_folded(const struct names *names, const frame_t *frames, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct names_entry *entry = names_find(names, frames[i]);

		if (!entry || !entry->all_folded)
			return i;
	}
	return 0;
}

/* The first frame shown, without those that were inlined there to allocate. */
static void print_first(FILE *out, const struct names *names, frame_t frame, unsigned skip)
{
	struct piece piece = piece_of(names, frame, skip);

	fwrite(piece.text, 1, piece.len, out);
}

void stack_print(FILE *out, const struct names *names, const frame_t *frames, size_t count,
		 bool whole)
{
	size_t i = whole ? 0 : count_folded(names, frames, count), cycle, n;
	const struct names_entry *first = i < count ? names_find(names, frames[i]) : NULL;

	if (!whole && first && first->folded && !first->all_folded)
		print_first(out, names, frames[i++], first->folded);
	for (; i < count; i += cycle * n) {
		cycle = n = 1;
		if (!whole)
			cycle = find_cycle(names, frames + i, count - i, &n);
		print_cycle(out, names, frames + i, cycle, n);
	}
}
