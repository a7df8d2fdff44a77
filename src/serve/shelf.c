/*
 * Modules stay open for the next client that asks; of those that nobody uses, the ones
 * used longest ago are closed when they become many.
 */
#include "serve/shelf.h"

#include <errno.h>
#include <stdlib.h>

enum { IDLE_MODULES = 256 };

int shelf_take(struct shelf *shelf, const struct search_for *who,
	       const struct debuginfo_options *options, struct debuginfo **ret, struct err *err)
{
	struct shelf_place place = {.users = 1, .used = ++shelf->takes};
	int e;

	for (size_t i = 0; i < shelf->places.len; i++) {
		struct shelf_place *found = &shelf->places.at[i];
		if (debuginfo_is_for(found->info, who)) {
			found->users++;
			found->used = place.used;
			*ret = found->info;
			return 0;
		}
	}
	e = debuginfo_open(who, options, &place.info, err);
	if (e)
		return e;
	if (!vec_push(&shelf->places, place)) {
		debuginfo_close(place.info);
		return err_set(err, -ENOMEM, "no memory for a module");
	}
	*ret = place.info;
	return 0;
}

/* Closes the idle module that was used longest ago, if there are too many. */
static void make_room(struct shelf *shelf)
{
	struct shelf_place *oldest = NULL;
	size_t idle = 0;

	for (size_t i = 0; i < shelf->places.len; i++) {
		struct shelf_place *place = &shelf->places.at[i];
		if (place->users)
			continue;
		idle++;
		if (!oldest || place->used < oldest->used)
			oldest = place;
	}
	if (idle <= IDLE_MODULES)
		return;
	debuginfo_close(oldest->info);
	*oldest = shelf->places.at[--shelf->places.len];
}

void shelf_put(struct shelf *shelf, struct debuginfo *info)
{
	for (size_t i = 0; info && i < shelf->places.len; i++)
		if (shelf->places.at[i].info == info) {
			shelf->places.at[i].users--;
			make_room(shelf);
			return;
		}
}

void shelf_deinit(struct shelf *shelf)
{
	for (size_t i = 0; i < shelf->places.len; i++)
		debuginfo_close(shelf->places.at[i].info);
	vec_deinit(&shelf->places);
}
