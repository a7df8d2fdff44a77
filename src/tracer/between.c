/* Patches of two instructions; see between.h. */
#include "tracer/between.h"

#include <errno.h>

#include "arch/trap.h"
#include "tracer/inside.h"

bool between_any(struct tracee *tracee, const struct undo *undo)
{
	struct inside_range ranges[64];
	size_t count = 0;

	if (!tracee->arch->trap->far_patch_len)
		return false;
	for (uint32_t i = 0; i < undo->patch_count; i++) {
		const struct undo_patch *patch = &undo->patch[i];

		if (patch->active && patch->len > tracee->arch->trap->patch_len)
			ranges[count++] = (struct inside_range){patch->addr, patch->addr + patch->len};
		if (count == ARRAY_SIZE(ranges)) {
			if (inside_ranges(tracee, ranges, count, false))
				return true;
			count = 0;
		}
	}
	return count && inside_ranges(tracee, ranges, count, false);
}

int between_left(void *arg)
{
	struct between *between = arg;

	if (between->tracee->exited)
		return -ECHILD;
	return between_any(between->tracee, between->undo) ? -EAGAIN : 0;
}
