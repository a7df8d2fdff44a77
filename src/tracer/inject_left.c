/*
 * What a memtrace has left is known by its memory's name, by what that says at the place that all
 * versions know, and, of ours, by the code in front of it, which must be on and for this process.
 *
 * The memory is opened by the mapping (/proc/PID/map_files), as no descriptor leads to it any more.
 */
#include "tracer/inject_left.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elf/maps.h"
#include "tracer/inject_memory.h"
#include "tracer/inject_parts.h"
#include "tracer/status.h"

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
	for (const uint8_t *at = bytes; len--; at++)
		hash = (hash ^ *at) * 0x100000001b3ull; /* FNV-1a */
	return hash;
}

uint64_t inject_build(void)
{
	static const char when[] = MEMTRACE_VERSION;
	const uint64_t sizes[] = {sizeof(struct undo), sizeof(struct stub_area), sizeof(struct stub),
				  SHARED_VERSION, SHARED_ESTATE_BYTES};
	uint64_t hash = mix(0xcbf29ce484222325ull, when, sizeof(when));

	hash = mix(hash, sizes, sizeof(sizes));
	return mix(hash, blob_bytes, blob_len);
}

static bool is_on(struct tracee *tracee, taddr_t code)
{
	uint32_t on = 0;

	return !target_read(&tracee->target, code + BLOB_BYTES, &on, sizeof(on)) && on;
}

/* Of another version nothing but the first page is known. */
static bool is_sound(struct tracee *tracee, uint64_t build, struct inject_left *found)
{
	struct blob_head head;

	if (found->left.build != build)
		return true;
	found->code = found->memory - INJECT_CODE_BYTES;
	if (!blob_len || target_read(&tracee->target, found->code, &head, sizeof(head)) ||
	    memcmp(head.magic, blob_bytes, sizeof(head.magic)) || !is_on(tracee, found->code))
		return false;
	found->shared = (struct shared){NULL, head.shared.pieces, head.shared.shift};
	return head.memory_bytes == shared_bytes(found->shared.pieces) &&
	       found->shared.pieces <= SHARED_PIECES && found->shared.shift >= 3 &&
	       found->shared.shift <= 5;
}

/* One was killed, and what it has kept is whole. */
static bool is_kept(struct tracee *tracee, uint64_t build, const struct inject_left *found)
{
	uint32_t owner = 0;

	return found->left.magic == SHARED_KEPT_MAGIC && found->left.build == build &&
	       found->left.current &&
	       !target_read(&tracee->target, found->memory + offsetof(struct shared_told, owner),
			    &owner, sizeof(owner)) &&
	       (owner & SHARED_OWNER_DIED);
}

bool inject_find_left(struct tracee *tracee, uint64_t build, struct inject_left *ret)
{
	struct maps maps = {.text = NULL};
	bool found = false;

	if (maps_read(tracee_alive(tracee), &maps, NULL))
		return false;
	for (size_t i = 0; i < maps.list.len && !found; i++) {
		const struct mapping *mapping = &maps.list.at[i];

		if (!inject_is_memory(mapping))
			continue;
		*ret = (struct inject_left){.memory = mapping->begin, .memory_end = mapping->end};
		found = !target_read(&tracee->target, mapping->begin + SHARED_LEFT_AT, &ret->left,
				     sizeof(ret->left)) &&
			(ret->left.magic == SHARED_LEFT_MAGIC || is_kept(tracee, build, ret)) &&
			ret->left.current <= 2 &&
			ret->left.start_time == status_start(tracee_alive(tracee)) &&
			is_sound(tracee, build, ret);
	}
	maps_deinit(&maps);
	ret->left.version[sizeof(ret->left.version) - 1] = 0;
	return found;
}

/* (The threads of the list alone: the memory is sparse.) */
static bool sum_threads(struct tracee *tracee, taddr_t memory, uint64_t *allocs, uint64_t *frees)
{
	struct target *target = &tracee->target;
	struct shared_thread thread;
	struct shared_told told;
	uint16_t number;

	if (target_read(target, memory, &told, sizeof(told)) || told.magic != SHARED_MAGIC ||
	    told.version != SHARED_VERSION || told.threads > SHARED_THREADS)
		return false;
	*allocs = *frees = 0;
	for (uint32_t i = 0; i < told.threads; i++) {
		if (target_read(target, memory + SHARED_LIST_AT + i * sizeof(number), &number,
				sizeof(number)) ||
		    target_read(target,
				memory + SHARED_THREADS_AT + number % SHARED_THREADS * sizeof(thread),
				&thread, sizeof(thread)))
			return false;
		*allocs += thread.allocs;
		*frees += thread.frees;
	}
	return true;
}

bool inject_find_orphan(struct tracee *tracee, uint64_t *allocs, uint64_t *frees)
{
	struct maps maps = {.text = NULL};
	bool found = false;

	if (maps_read(tracee_alive(tracee), &maps, NULL))
		return false;
	for (size_t i = 0; i < maps.list.len && !found; i++)
		found = inject_is_memory(&maps.list.at[i]) &&
			is_on(tracee, maps.list.at[i].begin - INJECT_CODE_BYTES) &&
			sum_threads(tracee, maps.list.at[i].begin, allocs, frees);
	maps_deinit(&maps);
	return found;
}

static int open_memory(struct tracee *tracee, const struct inject_left *found, struct err *err)
{
	char path[96];
	int file;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, tracee_alive(tracee),
		 found->memory, found->memory_end);
	file = open(path, O_RDWR | O_CLOEXEC);
	return file >= 0 ? file
			 : err_sys(err, -errno,
				   "its memory can't be opened (that needs CAP_CHECKPOINT_RESTORE, or "
				   "before Linux 5.9 CAP_SYS_ADMIN)");
}

int inject_take_up(struct tracee *tracee, const struct inject_left *found, struct injected *ret,
		   struct err *err)
{
	const struct blob_head *head = (const struct blob_head *)blob_bytes;
	const uint64_t bytes = shared_bytes(found->shared.pieces);
	void *at = MAP_FAILED;
	int file = open_memory(tracee, found, err);

	if (file < 0)
		return file;
	if (inject_is_sealed(file, bytes))
		at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
	if (at != MAP_FAILED)
		*ret = (struct injected){found->code + head->entry,
					 {at, found->shared.pieces, found->shared.shift},
					 bytes,
					 inject_open_to_ask(file)};
	close(file);
	if (at == MAP_FAILED)
		return err_set(err, -EBADF, "its memory can't be mapped");
	madvise(at, bytes, MADV_DONTDUMP);
	if (shared_is_sound(&ret->shared))
		return 0;
	inject_let_be(ret);
	return err_set(err, -EBADF, "its memory is not as it was left");
}

void inject_let_be(struct injected *injected)
{
	if (injected->entry) {
		munmap(injected->shared.base, injected->bytes);
		if (injected->file >= 0)
			close(injected->file);
	}
	*injected = (struct injected){.entry = 0};
}
