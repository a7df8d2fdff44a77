/* The list of what is not followed; see missed.h. */
#include "capture/missed.h"

#include <string.h>

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool make(struct snapshot_missed *ret, const char *module, const char *function,
		 const char *reason)
{
	ret->module = strdup(module);
	ret->function = function ? strdup(function) : NULL;
	ret->reason = strdup(reason);
	if (ret->module && ret->reason && (ret->function || !function))
		return true;
	snapshot_missed_deinit(ret);
	return false;
}

bool missed_add(struct missed *missed, const char *module, const char *function,
		const char *reason)
{
	struct snapshot_missed item;

	for (size_t i = 0; i < missed->len; i++) {
		const struct snapshot_missed *old = &missed->at[i];

		if (is_same(old->module, module) && is_same(old->function, function) &&
		    is_same(old->reason, reason))
			return false;
	}
	/* Where memory is short it is not in the reports, but still said. */
	if (make(&item, module, function, reason) && !vec_push(missed, item))
		snapshot_missed_deinit(&item);
	return true;
}

void missed_clear(struct missed *missed)
{
	for (size_t i = 0; i < missed->len; i++)
		snapshot_missed_deinit(&missed->at[i]);
	vec_clear(missed);
}

void missed_deinit(struct missed *missed)
{
	missed_clear(missed);
	vec_deinit(missed);
}

bool missed_copy(const struct missed *missed, struct snapshot *snapshot)
{
	snapshot->missed = calloc(missed->len + 1, sizeof(*snapshot->missed));
	for (size_t i = 0; snapshot->missed && i < missed->len; i++) {
		const struct snapshot_missed *from = &missed->at[i];

		if (!make(&snapshot->missed[i], from->module, from->function, from->reason))
			return false;
		snapshot->missed_count = i + 1;
	}
	return snapshot->missed != NULL;
}
