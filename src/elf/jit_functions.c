/*
 * The table: ascending ranges, none over another.
 *
 *     known      |--a--|   |-----b-----|  |-c-|
 *     new             |--d--|      |e|
 *     merged          |--d--|      |e|    |-c-|
 *
 * A runtime throws code away and puts other code there; of a function that is but in part below a
 * newer one nothing is left, so it goes whole.
 */
#include "elf/jit_functions.h"

#include "region/frame.h"

bool jit_functions_add(struct jit_functions *functions, taddr_t begin, uint64_t size,
		       uint64_t at, uint32_t file)
{
	struct jit_function new = {.begin = begin, .end = begin + size, .at = at, .file = file};

	if (!begin || !size || new.end < begin || new.end > FRAME_OFFSET_MASK ||
	    functions->list.len + functions->news.len >= JIT_FUNCTIONS)
		return true;
	new.order = functions->count++;
	return vec_push(&functions->news, new);
}

static int compare(const void *a, const void *b)
{
	const struct jit_function *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* The next one by its begin: what it lies over goes, or it does. */
static void put(struct jit_function *list, size_t *count, const struct jit_function *next)
{
	while (*count && list[*count - 1].end > next->begin) {
		if (list[*count - 1].order > next->order)
			return;
		--*count;
	}
	list[(*count)++] = *next;
}

bool jit_functions_merge(struct jit_functions *functions)
{
	const struct jit_function *old = functions->list.at, *new = functions->news.at;
	size_t olds = functions->list.len, news = functions->news.len, count = 0;
	struct jit_function *merged = malloc((olds + news + 1) * sizeof(*merged));

	if (!merged)
		return false;
	if (news)
		qsort(functions->news.at, news, sizeof(*new), compare);
	while (olds || news)
		if (!news || (olds && compare(old, new) < 0)) {
			put(merged, &count, old++);
			olds--;
		} else {
			put(merged, &count, new++);
			news--;
		}
	free(functions->list.at);
	functions->list.at = merged;
	functions->list.cap = functions->list.len + functions->news.len + 1;
	functions->list.len = count;
	vec_clear(&functions->news);
	return true;
}

struct jit_function *jit_functions_find(const struct jit_functions *functions, taddr_t pc)
{
	size_t low = 0, high = functions->list.len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (functions->list.at[middle].begin <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || pc >= functions->list.at[low - 1].end)
		return NULL;
	return &functions->list.at[low - 1];
}

void jit_functions_deinit(struct jit_functions *functions)
{
	vec_deinit(&functions->list);
	vec_deinit(&functions->news);
}
