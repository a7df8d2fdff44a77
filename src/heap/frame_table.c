/* Open addressing, at most half full; the slots are filled anew when frames have been sorted.
 */
#include "heap/frame_table.h"

#include <stdlib.h>
#include <string.h>

#include "heap/frame_names.h"

enum { FIRST_SLOTS = 256, MOST = 1u << 30 };

/* Where the frame is, or would be. */
static uint32_t *slot_of(const struct frame_table *table, frame_t frame)
{
	uint32_t i = (uint32_t)(frame * 0x9e3779b97f4a7c15 >> 32) & table->mask;

	while (table->slots[i] && table->frames[table->slots[i] - 1] != frame)
		i = (i + 1) & table->mask;
	return &table->slots[i];
}

static void fill(struct frame_table *table)
{
	memset(table->slots, 0, ((size_t)table->mask + 1) * sizeof(*table->slots));
	for (uint32_t i = 0; i < table->count; i++)
		*slot_of(table, table->frames[i]) = i + 1;
}

static bool grow(struct frame_table *table)
{
	size_t slots = table->mask ? 2 * ((size_t)table->mask + 1) : FIRST_SLOTS;
	frame_t *frames;
	uint32_t *fresh;

	if (slots > MOST)
		return false;
	frames = realloc(table->frames, slots / 2 * sizeof(*frames));
	if (!frames)
		return false;
	table->frames = frames;
	fresh = malloc(slots * sizeof(*fresh));
	if (!fresh)
		return false;
	free(table->slots);
	table->slots = fresh;
	table->mask = (uint32_t)slots - 1;
	table->room = (uint32_t)slots / 2;
	fill(table);
	return true;
}

bool frame_table_add(struct frame_table *table, frame_t frame)
{
	uint32_t *slot;

	if (table->count == table->room && !grow(table))
		return false;
	slot = slot_of(table, frame);
	if (*slot)
		return true;
	table->frames[table->count++] = frame;
	*slot = table->count;
	return true;
}

static int compare(const void *a, const void *b)
{
	const frame_t *x = a, *y = b;

	return frame_order(*x, *y);
}

void frame_table_sort(struct frame_table *table)
{
	if (!table->count)
		return;
	qsort(table->frames, table->count, sizeof(*table->frames), compare);
	fill(table);
}

uint32_t frame_table_find(const struct frame_table *table, frame_t frame)
{
	return table->count ? *slot_of(table, frame) - 1 : UINT32_MAX;
}

void frame_table_deinit(struct frame_table *table)
{
	free(table->frames);
	free(table->slots);
	*table = (struct frame_table){0};
}
