/* What is in use by the sums, held against what there is; see missing.h. */
#include "capture/missing.h"

#include <errno.h>
#include <stdlib.h>

#include "region/atom.h"
#include "region/counters.h"
#include "region/interned.h"
#include "region/known.h"
#include "region/live.h"
#include "region/sample.h"

struct sums {
	struct shared_counters *at; /* by context: first what was counted, then also what is there, as freed */
	uint32_t count;
};

static void is_there(struct sums *sums, uint32_t context, uint32_t level, uint64_t size)
{
	uint64_t by = sample_weight(level, size);

	if (!context || context >= sums->count)
		return;
	sums->at[context].frees += by;
	sums->at[context].freed_bytes += by * size;
}

static void is_live(void *arg, const struct live_block *block)
{
	if (block->context != LIVE_ELSEWHERE)
		is_there(arg, block->context, block->level, block->size);
}

static void is_pending(struct sums *sums, const struct shared_pending *pending)
{
	if (pending->slot)
		is_there(sums, pending->context, pending->level, pending->size);
}

/* (Sums that no calls make are left as they are.) */
static uint64_t settle(const struct shared *shared, uint32_t context, const struct shared_counters *sum)
{
	uint64_t blocks = sum->allocs - sum->frees, bytes = sum->allocated_bytes - sum->freed_bytes;
	struct shared_counters *counters = NULL;

	if ((blocks | bytes) && (int64_t)blocks >= 0 && (int64_t)bytes >= 0)
		counters = counters_of(shared, KNOWN_NONE, context);
	if (!counters)
		return 0;
	atom_add64_of_many(&counters->freed_bytes, bytes);
	atom_add64_of_many(&counters->frees, blocks);
	return blocks;
}

int64_t missing_settle(const struct shared *shared)
{
	struct sums sums = {.count = interned_contexts(shared)};
	uint64_t missing = 0;

	if (sums.count > SHARED_CONTEXTS)
		sums.count = SHARED_CONTEXTS;
	sums.at = calloc(sums.count + 1, sizeof(*sums.at));
	if (!sums.at)
		return -ENOMEM;
	counters_sum(shared, sums.at, sums.count);
	live_for_each(shared, is_live, &sums);
	for (uint32_t i = 0; i < known_threads(shared); i++)
		is_pending(&sums, &known_thread_at(shared, known_list(shared)[i])->pending);
	for (uint32_t context = 1; context < sums.count; context++)
		missing += settle(shared, context, &sums.at[context]);
	free(sums.at);
	return (int64_t)missing;
}
