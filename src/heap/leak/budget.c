/*
 * The memory that an analysis may take: what it holds is counted, whether touched or not, and a
 * limit refuses before the kernel would.  And its patience: who waits is told how far it is, and
 * may call it off.
 */
#include <errno.h>
#include <inttypes.h>

#include "heap/leak/parts.h"

static bool may_take(struct leak *leak, uint64_t bytes)
{
	if (leak->in.memory_limit && leak->held + bytes > leak->in.memory_limit)
		return false;
	leak->held += bytes;
	if (leak->held > leak->totals.own_bytes)
		leak->totals.own_bytes = leak->held;
	return true;
}

void *leak_take(struct leak *leak, uint64_t count, size_t size)
{
	void *at;

	if (count > SIZE_MAX / size || !may_take(leak, count * size))
		return NULL;
	at = calloc(count ? (size_t)count : 1, size);
	if (!at)
		leak->held -= count * size;
	return at;
}

void leak_give(struct leak *leak, void *at, uint64_t count, size_t size)
{
	if (at)
		leak->held -= count * size;
	free(at);
}

bool leak_grow_(struct leak *leak, void **at, size_t *cap, size_t want, size_t size)
{
	size_t grown = *cap;

	if (want <= *cap)
		return true;
	/* (by half where it is large: what is asked for counts as held, touched or not) */
	if (grown > (1 << 20) && want <= grown + grown / 2)
		want = grown + grown / 2;
	else if (want < 2 * grown)
		want = 2 * grown;
	if (want < 8)
		want = 8;
	if (want > SIZE_MAX / size || !may_take(leak, (uint64_t)(want - grown) * size))
		return false;
	if (want > *cap) {
		void *bytes = realloc(*at, want * size);

		if (!bytes) {
			leak->held -= (uint64_t)(want - grown) * size;
			return false;
		}
		*at = bytes;
		*cap = want;
	}
	return true;
}

void leak_trim_(struct leak *leak, void **at, size_t *cap, size_t len, size_t size)
{
	void *bytes = len ? realloc(*at, len * size) : NULL;

	if (!bytes)
		return;
	leak->held -= (uint64_t)(*cap - len) * size;
	*at = bytes;
	*cap = len;
}

int leak_no_memory(const struct leak *leak, struct err *err)
{
	bool mb = leak->in.memory_limit >> 20;

	if (leak->in.memory_limit)
		return err_set(err, -ENOMEM,
			       "more than the %" PRIu64 " %s that may be used would be needed",
			       leak->in.memory_limit >> (mb ? 20 : 10), mb ? "MB" : "KB");
	return err_set(err, -ENOMEM, "out of memory, with %" PRIu64 " MB in use",
		       leak->held >> 20);
}

int leak_tick(struct leak *leak, enum leak_step step, uint64_t done, uint64_t total)
{
	if (!leak->in.progress || ++leak->ticks % 256)
		return 0;
	return leak->in.progress(leak->in.progress_arg, step, done, total) ? 0 : -ECANCELED;
}
