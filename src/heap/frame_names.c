/* Names of frames: a sorted array, searched. */
#include "heap/frame_names.h"

int frame_order(frame_t a, frame_t b)
{
	const frame_t flags = FRAME_EXACT | FRAME_GUESS;
	frame_t x = a & ~flags, y = b & ~flags;

	if (x == y) {
		x = a;
		y = b;
	}
	return x < y ? -1 : x > y;
}

const struct named_frame *frame_names_find(const struct frame_names *names, frame_t frame)
{
	size_t begin = 0, end = names ? names->frame_count : 0;

	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;
		int order = frame_order(frame, names->frames[middle].frame);

		if (!order)
			return &names->frames[middle];
		if (order < 0)
			end = middle;
		else
			begin = middle + 1;
	}
	return NULL;
}
