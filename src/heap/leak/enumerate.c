/*
 * Who manages memory here?  The writable segments of every module are shown to each allocator's
 * enumerator, which knows its state by what it looks like, as names are stripped and allocators
 * are linked in.  One that finds its state and then a contradiction is refused, and what it had
 * added is taken back: its memory counts as roots then, which can hide what is lost, and never
 * call lost what is held.
 *
 * Of what no allocator's books have, the blocks that memtrace itself has seen are all there is.
 */
#include <errno.h>
#include <string.h>

#include "base/order.h"
#include "heap/leak/parts.h"

enum { DATA_MAX = 256 << 20 }; /* of a module's segment: what is larger is no allocator's */

/* ---- one enumerator and one segment ------------------------------------------------ */

static void take_back(struct leak *leak, uint64_t pending, size_t heaps, size_t arenas)
{
	while (leak->pending > pending)
		index_remove(&leak->index, pending_at(leak, --leak->pending)->addr);
	leak->heaps.len = heaps;
	leak->arenas.len = arenas;
}

static void count_used(struct leak *leak, uint64_t from, struct leak_allocator *allocator)
{
	allocator->used = (struct leak_sum){0};
	for (uint64_t i = from; i < leak->pending; i++) {
		if (!index_has(&leak->index, pending_at(leak, i)->addr))
			continue;
		allocator->used.blocks++;
		allocator->used.bytes += pending_at(leak, i)->size;
	}
}

static int try_one(struct leak *leak, enumerator *enumerate, const struct data *data)
{
	struct leak_allocator allocator = {.module = data->module->instance};
	uint64_t pending = leak->pending;
	size_t heaps = leak->heaps.len, arenas = leak->arenas.len;
	struct leak_sum mapped = leak->mapped;
	int code = enumerate(leak, data, &allocator);

	if (code == -EFAULT)
		code = leak_refuse(&allocator, "it claims memory that is not mapped");
	if (code)
		return code;
	if (!allocator.name[0])
		return 0;
	allocator.read = !refused(&allocator);
	if (allocator.read) {
		count_used(leak, pending, &allocator);
	} else {
		take_back(leak, pending, heaps, arenas);
		leak->mapped = mapped;
	}
	return leak_push(leak, &leak->allocators, allocator) ? 0 : -ENOMEM;
}

/* (Of the C libraries a module has one: glibc's bins without a block look like those of the old
 * musl.) */
static int try_all(struct leak *leak, const struct data *data)
{
	static enumerator *const libraries[] = {
		glibc_enumerate,
		musl_enumerate,
		musl_old_enumerate,
	};
	size_t before = leak->allocators.len;

	for (size_t i = 0; i < ARRAY_SIZE(libraries) && leak->allocators.len == before; i++) {
		int code = try_one(leak, libraries[i], data);

		if (code)
			return code;
	}
	return try_one(leak, jemalloc_enumerate, data);
}

/* ---- the segments ------------------------------------------------------------------ */

/* Bytes [begin, end) of the process', zeros where nothing can be read. */
static uint8_t *segment_read(struct leak *leak, taddr_t begin, size_t len)
{
	enum { PAGE = 4096 };
	uint8_t *bytes = leak_take(leak, len, 1);

	for (size_t at = 0; bytes && at < len;) {
		size_t n = PAGE - (size_t)((begin + at) % PAGE);

		if (n > len - at)
			n = len - at;
		if (memory_read(leak->in.memory, begin + at, bytes + at, n))
			memset(bytes + at, 0, n);
		at += n;
	}
	return bytes;
}

static int try_segment(struct leak *leak, const struct module *module, taddr_t begin,
		       taddr_t end)
{
	struct data data = {module, begin, (size_t)(end - begin), NULL};
	uint8_t *bytes;
	int code;

	if (end <= begin || end - begin > DATA_MAX)
		return 0;
	bytes = segment_read(leak, begin, data.len);
	if (!bytes)
		return -ENOMEM;
	data.bytes = bytes;
	code = try_all(leak, &data);
	leak_give(leak, bytes, data.len, 1);
	return code;
}

static int try_module(struct leak *leak, const struct module *module)
{
	size_t count;
	const struct image_segment *segments;

	if (!module->image)
		return 0;
	segments = image_segments(module->image, &count);
	for (size_t i = 0; i < count; i++) {
		taddr_t begin = segments[i].vaddr + module->bias;
		int code;

		if (leak->in.cpu.word == 4)
			begin = (uint32_t)begin;
		if (!(segments[i].flags & 2)) /* PF_W */
			continue;
		begin &= ~(taddr_t)(leak->in.cpu.word - 1);
		code = try_segment(leak, module, begin, begin + segments[i].mem_size);
		if (code)
			return code;
	}
	return 0;
}

/* ---- what memtrace has seen ------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return order_u64(x->begin, y->begin);
}

/* Ascending, and apart from each other; returns how many they are then. */
static size_t seal(struct range *at, size_t len)
{
	size_t kept = 0;

	if (!len)
		return 0;
	qsort(at, len, sizeof(*at), compare);
	for (size_t i = 1; i < len; i++) {
		struct range *last = &at[kept], *next = &at[i];

		if (next->begin > last->end)
			at[++kept] = *next;
		else if (next->end > last->end)
			last->end = next->end;
	}
	return kept + 1;
}

static bool is_within(const struct range *at, size_t len, taddr_t addr)
{
	size_t low = order_count(len, i, at[i].end <= addr);

	return low < len && at[low].begin <= addr;
}

/* -EDOM: the index is too coarse for it. */
static int add_live(struct leak *leak, const struct leak_live *live)
{
	uint64_t size = live->size ? live->size : 1;
	taddr_t addr = live->addr;
	int code;

	if (addr & (((taddr_t)1 << leak->index.shift) - 1) && !(addr & (leak->in.cpu.word - 1)))
		return -EDOM;
	code = leak_add(leak, addr, size);
	if (code)
		return code == -ENOMEM ? code : 0;
	code = leak_note_heap(leak, addr, addr + size);
	if (code == -EFAULT) {
		leak_drop(leak, addr);
		code = 0;
	}
	return code;
}

/* Those that are in no heap that was read: an allocator's that is not known. */
static int add_traced(struct leak *leak)
{
	struct leak_allocator allocator = {.name = LEAK_TRACED, .read = true};
	size_t heaps = leak->heaps.len = seal(leak->heaps.at, leak->heaps.len);
	uint64_t before = leak->pending;
	bool read = false;

	for (size_t i = 0; i < leak->allocators.len; i++)
		read |= leak->allocators.at[i].read;
	leak->totals.traced_only = !read;
	for (size_t i = 0; i < leak->in.live_count; i++) {
		const struct leak_live *live = &leak->in.live[i];
		int code = is_within(leak->heaps.at, heaps, live->addr) ? 0 : add_live(leak, live);

		if (code)
			return code;
	}
	count_used(leak, before, &allocator);
	if (!allocator.used.blocks)
		return 0;
	return leak_push(leak, &leak->allocators, allocator) ? 0 : -ENOMEM;
}

/* ---- somebody else's malloc -------------------------------------------------------- */

static bool is_libc(const struct module *module)
{
	struct image_symbol symbol;

	return image_symbol_find(module->image, "__libc_start_main", &symbol);
}

/* What looks like musl's context, with no block, in a module that is no libc is somebody else's
 * data (tcmalloc's has such). */
static bool has_entry(const struct leak *leak, const struct module *module)
{
	for (size_t i = 0; i < leak->allocators.len; i++)
		if (leak->allocators.at[i].module == module->instance &&
		    (strcmp(leak->allocators.at[i].name, "musl") || is_libc(module)))
			return true;
	return false;
}

static bool is_malloc_of_its_own(const struct leak *leak, const struct module *module)
{
	struct image_symbol symbol;

	return module->image && !has_entry(leak, module) &&
	       (image_symbol_find(module->image, "malloc_usable_size", &symbol) ||
		image_symbol_find(module->image, "posix_memalign", &symbol)) &&
	       image_symbol_find(module->image, "malloc", &symbol);
}

static bool has_blocks(const struct leak *leak)
{
	for (size_t i = 0; i < leak->allocators.len; i++)
		if (leak->allocators.at[i].used.blocks)
			return true;
	return false;
}

/* A module that has a malloc, and no such allocator in it, manages memory by itself: one that takes
 * the place of libc's; or libc, where nobody has a block.  NULL: none, or one was refused that may
 * be it. */
static const struct module *another_allocates(const struct leak *leak)
{
	const struct modules *modules = leak->in.modules;
	const struct module *libc = NULL;

	for (size_t i = 0; i < leak->allocators.len; i++)
		if (!leak->allocators.at[i].read)
			return NULL;
	for (size_t i = 0; i < modules->mapped.len; i++) {
		const struct module *module = modules->mapped.at[i];

		if (!is_malloc_of_its_own(leak, module))
			continue;
		if (!is_libc(module))
			return module;
		libc = module;
	}
	return has_blocks(leak) ? NULL : libc;
}

/* Allocators without a block, of this module or (0) any, and what they have of arenas. */
static void forget_empty(struct leak *leak, uint32_t module)
{
	uint32_t kept = 0;
	size_t arenas = 0;

	for (uint32_t i = 0; i < leak->allocators.len; i++) {
		const struct leak_allocator *a = &leak->allocators.at[i];
		bool stays = a->used.blocks || (module && a->module != module);

		for (size_t k = 0; k < leak->arenas.len && stays; k++)
			if (leak->arenas.at[k].allocator == i) {
				leak->arenas.at[arenas] = leak->arenas.at[k];
				leak->arenas.at[arenas++].allocator = kept;
			}
		if (stays)
			leak->allocators.at[kept++] = *a;
	}
	leak->allocators.len = kept;
	leak->arenas.len = arenas;
	if (!kept)
		leak->heaps.len = 0;
}

/* Zero blocks would be no answer where another allocator has them all, nor are those that libc's
 * has all there are. */
static int note_another(struct leak *leak, const struct module *module)
{
	struct leak_allocator another = {.name = LEAK_UNKNOWN_ALLOCATOR, .module = module->instance};

	if (has_blocks(leak)) {
		forget_empty(leak, module->instance);
		leak_refuse(&another,
			    "%s has a malloc of its own: of its blocks those alone are known that "
			    "were allocated while memtrace watched",
			    module->id.path);
	} else {
		forget_empty(leak, 0);
		leak_refuse(&another,
			    "%s has an allocator that is not known, or that has given out no block yet",
			    module->id.path);
	}
	return leak_push(leak, &leak->allocators, another) ? 0 : -ENOMEM;
}

static int nothing_read(const struct leak *leak, struct err *err)
{
	const struct leak_allocator *first = leak->allocators.at;

	if (!leak->allocators.len)
		return err_set(err, -ENOTSUP,
			       "no allocator that memtrace can read was found, or none has given "
			       "out a block yet: glibc's, musl's and jemalloc's are known");
	if (!strcmp(first->name, LEAK_UNKNOWN_ALLOCATOR))
		return err_set(err, -ENOTSUP,
			       "the heap could not be read: %s; of its blocks those alone can be "
			       "looked at that memtrace sees allocated (-d, -i), and there are none yet",
			       first->why);
	return err_set(err, -ENOTSUP, "the heap of %s could not be read: %s", first->name,
		       first->why);
}

/* As if nothing had been found yet, with an index of another granule. */
static void begin_anew(struct leak *leak, unsigned granule)
{
	take_back(leak, 0, 0, 0);
	leak->doubts.len = 0;
	leak->allocators.len = 0;
	leak->mapped = (struct leak_sum){0};
	leak->held -= leak->index.bytes;
	index_deinit(&leak->index);
	index_init(&leak->index, granule);
}

static int try_all_modules(struct leak *leak)
{
	const struct modules *modules = leak->in.modules;
	const struct module *another;
	int code = 0;

	for (size_t i = 0; i < modules->mapped.len && !code; i++)
		code = try_module(leak, modules->mapped.at[i]);
	if (code)
		return code;
	another = another_allocates(leak);
	code = another ? note_another(leak, another) : 0;
	return code ? code : add_traced(leak);
}

int leak_enumerate(struct leak *leak, struct err *err)
{
	int code = leak_take_hands(leak) ? try_all_modules(leak) : -ENOMEM;

	if (code == -EDOM) {
		begin_anew(leak, leak->in.cpu.word);
		code = try_all_modules(leak);
	}
	if (code == -ENOMEM)
		return leak_no_memory(leak, err);
	if (code)
		return err_set(err, code,
			       code == -EAGAIN ? "an allocation was half done: look again"
					       : "given up");
	if (leak->totals.traced_only && !leak->in.live_count)
		return nothing_read(leak, err);
	leak->heaps.len = seal(leak->heaps.at, leak->heaps.len);
	leak->doubts.len = seal(leak->doubts.at, leak->doubts.len);
	return 0;
}
