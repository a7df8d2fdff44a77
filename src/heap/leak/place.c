/*
 * Names for roots, from the general to the particular: a register; thread-local data, which
 * lies around the thread pointer; a stack, by the thread whose sp is nearest below; a module's
 * data; any other mapping.
 */
#include "heap/leak/place.h"

#include <elf.h>

enum { DESCRIPTOR = 0x900 }; /* about: glibc's struct pthread, musl's is smaller */

/* ---- thread-local data --------------------------------------------------------------- */

/* PT_TLS of a module as it is mapped: *size grows by it. */
static void add_tls(struct leak *leak, const struct module *module, uint64_t *size)
{
	struct reader *r = &leak->jump;
	unsigned word = leak->in.cpu.word, length = word == 8 ? 56 : 32;
	taddr_t table =
		module->begin + reader_word_or_0(r, module->begin + (word == 8 ? 32 : 28));
	const uint8_t *bytes = reader_bytes(r, module->begin + (word == 8 ? 56 : 44), 2);
	unsigned count = bytes ? bytes[0] | bytes[1] << 8 : 0;

	for (unsigned i = 0; i < count && i < 64; i++) {
		taddr_t at = table + i * length;
		uint64_t bytes_of, align;

		bytes = reader_bytes(r, at, 4);
		if (!bytes || u32_at(bytes) != PT_TLS)
			continue;
		bytes_of = reader_word_or_0(r, at + (word == 8 ? 40 : 20));
		align = reader_word_or_0(r, at + (word == 8 ? 48 : 28));
		if (!align || align & (align - 1) || align > 4096 || bytes_of > 1 << 20)
			continue;
		*size = (*size + bytes_of + align - 1) & ~(align - 1);
	}
}

uint64_t leak_tls_size(struct leak *leak)
{
	const struct modules *modules = leak->in.modules;
	uint64_t size = 2 * leak->in.cpu.word;

	for (size_t i = 0; i < modules->mapped.len; i++)
		add_tls(leak, modules->mapped.at[i], &size);
	return size;
}

/* Where the thread-local data of every module that was there at the start, and the descriptor,
 * are: below tp on x86 (variant II of the TLS ABI), above it elsewhere (variant I). */
static struct range tls_of(struct leak *leak, const struct leak_thread *thread)
{
	taddr_t tp = thread->tp & leak->tag_mask;
	uint64_t size = leak_tls_size(leak);

	if (leak->in.cpu.machine == EM_X86_64)
		return (struct range){tp - size, tp + DESCRIPTOR};
	return (struct range){tp - DESCRIPTOR, tp + size};
}

static bool in_tls(struct leak *leak, struct leak_place *place)
{
	for (size_t i = 0; i < leak->in.thread_count; i++) {
		const struct leak_thread *thread = &leak->in.threads[i];
		struct range range;

		if (!thread->tp || place->at + (1 << 21) < thread->tp ||
		    place->at > thread->tp + (1 << 21))
			continue;
		range = tls_of(leak, thread);
		if (place->at < range.begin || place->at >= range.end)
			continue;
		place->kind = LEAK_IN_TLS;
		place->tid = thread->tid;
		place->offset = place->at - thread->tp;
		return true;
	}
	return false;
}

/* ---- stacks -------------------------------------------------------------------------- */

/* The piece that a stack may be: the one a descriptor tells of, or the mapping. */
static struct range stack_around(const struct leak *leak, const struct leak_place *place)
{
	for (size_t i = 0; i < leak->stacks.len; i++)
		if (leak->stacks.at[i].begin <= place->at && place->at < leak->stacks.at[i].end)
			return (struct range){leak->stacks.at[i].begin, leak->stacks.at[i].end};
	return (struct range){place->mapping->begin, place->mapping->end};
}

static bool in_stack(const struct leak *leak, struct leak_place *place)
{
	struct range range = stack_around(leak, place);
	const struct leak_thread *nearest = NULL;

	for (size_t i = 0; i < leak->in.thread_count; i++) {
		const struct leak_thread *thread = &leak->in.threads[i];

		if (thread->sp >= range.begin && thread->sp < range.end &&
		    thread->sp - leak->in.cpu.red_zone <= place->at &&
		    (!nearest || thread->sp > nearest->sp))
			nearest = thread;
	}
	if (!nearest)
		return false;
	place->kind = LEAK_IN_STACK;
	place->tid = nearest->tid;
	place->offset = place->at - nearest->sp;
	return true;
}

/* ---- modules ------------------------------------------------------------------------- */

static bool in_module(const struct leak *leak, struct leak_place *place)
{
	const struct module *module = modules_find(leak->in.modules, place->at);
	const struct image_segment *segments;
	size_t count;

	if (!module || !module->image)
		return false;
	place->offset = place->at - module->bias;
	if (leak->in.cpu.word == 4)
		place->offset = (uint32_t)place->offset;
	segments = image_segments(module->image, &count);
	for (size_t i = 0; i < count; i++) {
		uint64_t in = place->offset - segments[i].vaddr;

		if (in >= segments[i].mem_size)
			continue;
		place->kind = LEAK_IN_DATA;
		place->module = module;
		place->section = in < segments[i].file_size ? ".data" : ".bss";
		return true;
	}
	return false;
}

void place_of_root(struct leak *leak, const struct root_edge *root, struct leak_place *ret)
{
	*ret = (struct leak_place){.kind = LEAK_IN_MAPPING, .at = root->at, .block = LEAK_NONE};
	if (root->word != LEAK_NONE) {
		uint32_t word = root->word % ROOT_WORDS;

		ret->kind = LEAK_IN_REGISTER;
		ret->tid = leak->in.threads[root->word / ROOT_WORDS].tid;
		ret->offset = word < ROOT_EXTRA ? word : UINT64_MAX;
		return;
	}
	ret->mapping = maps_find(leak->in.maps, root->at);
	if (!ret->mapping || in_tls(leak, ret) || in_module(leak, ret) || in_stack(leak, ret))
		return;
	ret->offset = root->at - ret->mapping->begin;
}

void place_in_block(const struct leak *leak, uint32_t block, taddr_t at, struct leak_place *ret)
{
	*ret = (struct leak_place){.kind = LEAK_IN_BLOCK, .at = at, .block = block};
	ret->offset = at ? at - index_addr(&leak->index, block) : UINT64_MAX;
	ret->mapping = maps_find(leak->in.maps, index_addr(&leak->index, block));
}
