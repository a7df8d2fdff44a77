/*
 * Modules stay open for the next client that asks; of those that nobody uses, the ones
 * used longest ago are closed when they become many, or descriptors few.  A module is never
 * looked for without descriptors: what is found then is nothing, and would stay.
 */
#include "serve/module_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	IDLE_MODULES = 256,
	MAX_MODULES = 16384,
	/* Descriptors to look for one module; each directory on the way to a file takes one. */
	NEEDED = DEBUGINFO_FILES + 16,
};

/* How many files may be open: what clients, at most half, and the server itself leave. */
static unsigned most_files(void)
{
	enum { FEW = 1024 };
	struct rlimit limit;
	rlim_t left;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > UINT32_MAX)
		return UINT32_MAX;
	left = limit.rlim_cur > FEW ? limit.rlim_cur - FEW / 2 : limit.rlim_cur / 2;
	return (unsigned)(left - (left > FEW ? FEW : left) / 8);
}

static bool descriptors_left(unsigned count)
{
	int fds[NEEDED];
	unsigned n = 0;

	while (n < count && (fds[n] = eventfd(0, EFD_CLOEXEC)) >= 0)
		n++;
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	return n == count;
}

static void close_at(struct module_cache *cache, size_t index)
{
	cache->files -= debuginfo_files(cache->places.at[index].info);
	debuginfo_close(cache->places.at[index].info);
	cache->places.at[index] = cache->places.at[--cache->places.len];
}

/* Closes the idle module that was used longest ago, if there are more than `most`. */
static bool close_idle(struct module_cache *cache, size_t most)
{
	size_t idle = 0, oldest = 0;

	for (size_t i = 0; i < cache->places.len; i++) {
		struct module_cache_place *place = &cache->places.at[i];
		if (place->users)
			continue;
		if (!idle++ || place->used < cache->places.at[oldest].used)
			oldest = i;
	}
	if (idle <= most)
		return false;
	close_at(cache, oldest);
	return true;
}

static bool has_room(const struct module_cache *cache)
{
	return cache->places.len < MAX_MODULES && cache->files + NEEDED <= most_files() &&
	       descriptors_left(NEEDED);
}

static struct debuginfo *use(struct module_cache *cache, struct module_cache_place *place)
{
	place->users++;
	place->used = ++cache->takes;
	return place->info;
}

/* Puts a new one on the module cache, or drops it where the same files are there. */
static struct debuginfo *add(struct module_cache *cache, struct debuginfo *info)
{
	for (size_t i = 0; i < cache->places.len; i++)
		if (debuginfo_is_same(cache->places.at[i].info, info)) {
			debuginfo_close(info);
			return use(cache, &cache->places.at[i]);
		}
	if (!vec_push(&cache->places, (struct module_cache_place){.info = info})) {
		debuginfo_close(info);
		return NULL;
	}
	cache->files += debuginfo_files(info);
	return use(cache, &cache->places.at[cache->places.len - 1]);
}

int module_cache_take(struct module_cache *cache, const struct search_for *who,
		      const struct debuginfo_options *options, struct debuginfo **ret,
		      struct err *err)
{
	struct debuginfo *info;
	int e;

	for (size_t i = 0; i < cache->places.len; i++)
		if (debuginfo_is_for(cache->places.at[i].info, who)) {
			*ret = use(cache, &cache->places.at[i]);
			return 0;
		}
	while (!has_room(cache))
		if (!close_idle(cache, 0))
			return err_set(err, -EMFILE, "too many files are open");
	e = debuginfo_open(who, options, &info, err);
	if (e)
		return e;
	*ret = add(cache, info);
	return *ret ? 0 : err_set(err, -ENOMEM, "no memory for a module");
}

void module_cache_put(struct module_cache *cache, struct debuginfo *info)
{
	for (size_t i = 0; info && i < cache->places.len; i++)
		if (cache->places.at[i].info == info) {
			cache->places.at[i].users--;
			close_idle(cache, IDLE_MODULES);
			return;
		}
}

void module_cache_deinit(struct module_cache *cache)
{
	for (size_t i = 0; i < cache->places.len; i++)
		debuginfo_close(cache->places.at[i].info);
	vec_deinit(&cache->places);
}
