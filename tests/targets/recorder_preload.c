/*
 * An independent recorder of live blocks, to be preloaded: a table at a fixed address, which
 * tests/e2e/heap_oracle.c reads.  An entry is made when the allocator has returned, and removed
 * before it is called: what is in the table is alive whenever one looks, and what is alive and
 * not in it is of a call in flight.  It takes its memory by mmap() alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "recorder.h"

static struct recorder *table;
static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t), *(*real_memalign)(size_t, size_t);
static void (*real_free)(void *);
static char early[1 << 16]; /* for dlsym(), which allocates */
static size_t early_used;
static int state; /* 1: in start(), 2: started */

static int is_early(const void *p)
{
	return (const char *)p >= early && (const char *)p < early + sizeof(early);
}

static void *early_take(size_t size)
{
	char *p = early + early_used;

	early_used += (size + 31) & ~(size_t)15;
	return p;
}

static void start(void)
{
	void *at;

	if (state)
		return;
	state = 1;
	at = mmap((void *)RECORDER_AT, sizeof(*table), PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
	if (at == (void *)RECORDER_AT)
		table = at;
	real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
	real_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
	real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
	real_memalign = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "memalign");
	real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
	state = 2;
}

/* ---- the table: shards with a lock each, linear probing, deletion by moving up ---------- */

static uint64_t hash(uint64_t p)
{
	return (p >> 3) * 0x9e3779b97f4a7c15u >> 20;
}

static struct recorder_shard *shard_lock(uint64_t p)
{
	struct recorder_shard *shard = &table->shards[hash(p) % RECORDER_SHARDS];

	while (atomic_exchange_explicit(&shard->lock, 1, memory_order_acquire))
		;
	return shard;
}

static void shard_unlock(struct recorder_shard *shard)
{
	atomic_store_explicit(&shard->lock, 0, memory_order_release);
}

static uint64_t slot_of(uint64_t p)
{
	return hash(p) / RECORDER_SHARDS % RECORDER_SLOTS;
}

/* At whichever instruction the thread is stopped, the entry is none or whole. */
static void put(volatile struct recorder_entry *entry, uint64_t p, uint64_t size)
{
	entry->addr = 0;
	entry->size = size;
	entry->addr = p;
}

static void insert(void *block, size_t size)
{
	uint64_t p = (uintptr_t)block, i = slot_of(p);
	struct recorder_shard *shard;

	if (!p || !table)
		return;
	shard = shard_lock(p);
	while (shard->at[i].addr)
		i = (i + 1) % RECORDER_SLOTS;
	put(&shard->at[i], p, size);
	if (++shard->count == RECORDER_SLOTS - 1)
		table->full = 1;
	shard_unlock(shard);
}

static void delete (void *block)
{
	uint64_t p = (uintptr_t)block, i = slot_of(p), hole;
	struct recorder_shard *shard;

	if (!p || !table)
		return;
	shard = shard_lock(p);
	while (shard->at[i].addr && shard->at[i].addr != p)
		i = (i + 1) % RECORDER_SLOTS;
	if (shard->at[i].addr) {
		shard->count--;
		for (hole = i;;) {
			i = (i + 1) % RECORDER_SLOTS;
			if (!shard->at[i].addr)
				break;
			if ((i - slot_of(shard->at[i].addr)) % RECORDER_SLOTS >=
			    (i - hole) % RECORDER_SLOTS) {
				put(&shard->at[hole], shard->at[i].addr, shard->at[i].size);
				hole = i;
			}
		}
		shard->at[hole].addr = 0;
	}
	shard_unlock(shard);
}

/* ---- what is interposed ---------------------------------------------------------------- */

void *malloc(size_t size)
{
	void *p;

	start();
	if (state < 2)
		return early_take(size);
	p = real_malloc(size);
	insert(p, size);
	return p;
}

void *calloc(size_t n, size_t size)
{
	void *p;

	start();
	if (state < 2)
		return early_take(n * size);
	p = real_calloc(n, size);
	insert(p, n * size);
	return p;
}

void free(void *p)
{
	if (!p || is_early(p))
		return;
	start();
	delete (p);
	real_free(p);
}

void *realloc(void *old, size_t size)
{
	void *p;

	start();
	if (is_early(old)) {
		p = malloc(size);
		if (p)
			memcpy(p, old, size);
		return p;
	}
	delete (old);
	p = real_realloc(old, size);
	if (p)
		insert(p, size);
	else if (old && size)
		insert(old, size);
	return p;
}

void *memalign(size_t align, size_t size)
{
	void *p;

	start();
	p = real_memalign(align, size);
	insert(p, size);
	return p;
}

void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

int posix_memalign(void **ret, size_t align, size_t size)
{
	void *p = memalign(align, size);

	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}
