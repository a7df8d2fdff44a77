/*
 * A process that is made up: memory in pieces, its map, one module "libc.so" whose writable
 * segment is at case_data(), one thread.  And in it a heap as glibc would have it, of any
 * release and word size.
 */
#ifndef MEMTRACE_HEAP_CASE_H
#define MEMTRACE_HEAP_CASE_H

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/leak/leak.h"

enum { CASE_PIECES = 16, CASE_ELF = 0x400, CASE_DATA_LEN = 0x4000 };

struct heap_case {
	struct memory memory;
	unsigned word;
	struct case_piece {
		taddr_t begin;
		size_t len;
		uint8_t *bytes;
	} pieces[CASE_PIECES];
	size_t piece_count;
	struct mapping mappings[CASE_PIECES];
	struct maps maps;
	size_t data_len; /* CASE_DATA_LEN, unless set before case_module() */
	uint8_t elf[CASE_ELF];
	struct memory_buffer file;
	struct module module, *mapped;
	struct modules modules;
	struct leak_thread thread;
	uint64_t regs[4];
	struct leak_input in;
	uint64_t reads; /* how often memory was read */
};

static inline int case_read(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct heap_case *c = (struct heap_case *)memory;

	c->reads++;
	for (size_t i = 0; i < c->piece_count; i++) {
		struct case_piece *p = &c->pieces[i];

		if (addr >= p->begin && addr - p->begin < p->len &&
		    len <= p->len - (addr - p->begin)) {
			memcpy(buf, p->bytes + (addr - p->begin), len);
			return 0;
		}
	}
	return -EIO;
}

static inline taddr_t case_data(const struct heap_case *c)
{
	return c->word == 8 ? 0x7f0000100000 : 0x40100000;
}

/* A mapping; in ascending order of addresses.  permissions: "rw-p". */
static inline uint8_t *case_map(struct heap_case *c, taddr_t begin, size_t len,
				const char *permissions, const char *path)
{
	uint8_t *bytes = calloc(1, len);

	c->mappings[c->piece_count] = (struct mapping){.begin = begin,
						       .end = begin + len,
						       .read = permissions[0] == 'r',
						       .write = permissions[1] == 'w',
						       .exec = permissions[2] == 'x',
						       .shared = permissions[3] == 's',
						       .path = path};
	c->pieces[c->piece_count++] =
		(struct case_piece){begin, permissions[0] == 'r' ? len : 0, bytes};
	c->maps.list.at = c->mappings;
	c->maps.list.len = c->piece_count;
	return bytes;
}

/* The bytes at an address. */
static inline uint8_t *case_at(struct heap_case *c, taddr_t addr)
{
	for (size_t i = 0; i < c->piece_count; i++)
		if (addr - c->pieces[i].begin < c->pieces[i].len)
			return c->pieces[i].bytes + (addr - c->pieces[i].begin);
	abort();
}

static inline void case_put(struct heap_case *c, taddr_t addr, taddr_t value)
{
	memcpy(case_at(c, addr), &value, c->word);
}

static inline void case_put32(struct heap_case *c, taddr_t addr, uint32_t value)
{
	memcpy(case_at(c, addr), &value, 4);
}

static inline taddr_t case_word(struct heap_case *c, taddr_t addr)
{
	taddr_t value = 0;

	memcpy(&value, case_at(c, addr), c->word);
	return value;
}

/* An ELF file of two segments: code, and data_len bytes of data at vaddr 0x100000. */
static inline void case_elf(struct heap_case *c)
{
	if (c->word == 8) {
		Elf64_Ehdr *e = (Elf64_Ehdr *)(void *)c->elf;
		Elf64_Phdr *p = (Elf64_Phdr *)(void *)(e + 1);

		*e = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
				  .e_type = ET_DYN,
				  .e_machine = EM_X86_64,
				  .e_version = 1,
				  .e_phoff = sizeof(*e),
				  .e_ehsize = sizeof(*e),
				  .e_phentsize = sizeof(*p),
				  .e_phnum = 2};
		p[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				    .p_flags = PF_R | PF_X,
				    .p_filesz = 0x100,
				    .p_memsz = 0x1000,
				    .p_align = 4096};
		p[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				    .p_flags = PF_R | PF_W,
				    .p_vaddr = 0x100000,
				    .p_filesz = 0x100,
				    .p_memsz = (uint32_t)c->data_len,
				    .p_align = 4096};
	} else {
		Elf32_Ehdr *e = (Elf32_Ehdr *)(void *)c->elf;
		Elf32_Phdr *p = (Elf32_Phdr *)(void *)(e + 1);

		*e = (Elf32_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1},
				  .e_type = ET_DYN,
				  .e_machine = EM_ARM,
				  .e_version = 1,
				  .e_phoff = sizeof(*e),
				  .e_ehsize = sizeof(*e),
				  .e_phentsize = sizeof(*p),
				  .e_phnum = 2};
		p[0] = (Elf32_Phdr){.p_type = PT_LOAD,
				    .p_flags = PF_R | PF_X,
				    .p_filesz = 0x100,
				    .p_memsz = 0x1000,
				    .p_align = 4096};
		p[1] = (Elf32_Phdr){.p_type = PT_LOAD,
				    .p_flags = PF_R | PF_W,
				    .p_vaddr = 0x100000,
				    .p_filesz = 0x100,
				    .p_memsz = (uint32_t)c->data_len,
				    .p_align = 4096};
	}
}

/* A module with zeroed data.  What is mapped below it comes before this call. */
static inline void case_module(struct heap_case *c)
{
	struct err err;

	case_elf(c);
	memory_buffer_init(&c->file, 0, c->elf, sizeof(c->elf));
	c->module = (struct module){.instance = 1, .mapped = true};
	if (image_open(&c->file.memory, &c->module.image, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	c->module.bias = case_data(c) - 0x100000;
	c->module.begin = c->module.bias;
	c->module.end = case_data(c) + c->data_len;
	case_map(c, c->module.bias, 0x1000, "r-xp", "/lib/libc.so");
	case_map(c, case_data(c), c->data_len, "rw-p", "/lib/libc.so");
	c->mapped = &c->module;
	c->modules.mapped.at = &c->mapped;
	c->modules.mapped.len = 1;
}

static inline void case_init(struct heap_case *c, unsigned word)
{
	memset(c, 0, sizeof(*c));
	c->word = word;
	c->data_len = CASE_DATA_LEN;
	c->memory.read = case_read;
	c->thread = (struct leak_thread){.tid = 1, .regs = c->regs, .reg_count = 4};
	c->in = (struct leak_input){
		.memory = &c->memory,
		.maps = &c->maps,
		.modules = &c->modules,
		.threads = &c->thread,
		.thread_count = 1,
		.cpu = {.machine = word == 8 ? EM_X86_64 : EM_ARM, .word = (uint8_t)word}};
}

static inline void case_deinit(struct heap_case *c)
{
	for (size_t i = 0; i < c->piece_count; i++)
		free(c->pieces[i].bytes);
	image_close(c->module.image);
}

/* ---- a heap of glibc's ------------------------------------------------------------- */

struct glibc_version {
	const char *name; /* as leak_allocator.version says */
	unsigned word;
	unsigned fast, top, bins, next, system_mem, size; /* malloc_state; fast 0: none */
	unsigned mmaps, mmapped, sbrk_base;		  /* mp_ */
	unsigned cache_counts; /* bytes of a tcache counter; 0: no tcache */
	unsigned cache_entries, cache_chunk, cache_bins;
	bool down, masked, huge;
};

/* (from the sources of each release, see glibc_layout.c; mp_ by the release's own fields) */
static const struct glibc_version glibc_versions[] = {
	{"2.17-2.22", 8, 8, 88, 104, 2152, 2168, 2184, 40, 56, 80, 0, 0, 0, 0, 0, 0, 0},
	{"2.23-2.26", 8, 8, 88, 104, 2152, 2176, 2192, 40, 56, 72, 1, 64, 0x250, 64, 0, 0, 0},
	{"2.27-2.42", 8, 16, 96, 112, 2160, 2184, 2200, 40, 56, 72, 1, 64, 0x250, 64, 0, 0, 0},
	{"2.27-2.42", 8, 16, 96, 112, 2160, 2184, 2200, 40, 56, 72, 2, 128, 0x290, 64, 0, 0, 0},
	{"2.27-2.42", 8, 16, 96, 112, 2160, 2184, 2200, 40, 56, 72, 2, 128, 0x290, 64, 0, 1, 0},
	{"2.27-2.42", 8, 16, 96, 112, 2160, 2184, 2200, 60, 80, 96, 2, 128, 0x290, 64, 0, 1, 0},
	{"2.27-2.42", 8, 16, 96, 112, 2160, 2184, 2200, 60, 80, 96, 2, 152, 0x300, 76, 1, 1, 0},
	{"2.43", 8, 0, 8, 24, 2072, 2096, 2112, 60, 80, 96, 2, 152, 0x300, 76, 1, 1, 1},
	{"2.17-2.22", 4, 8, 48, 56, 1088, 1096, 1104, 20, 36, 48, 0, 0, 0, 0, 0, 0, 0},
	{"2.23-2.26", 4, 8, 48, 56, 1088, 1100, 1108, 20, 36, 44, 1, 64, 0x148, 64, 0, 0, 0},
	{"2.27-2.42", 4, 12, 52, 60, 1092, 1104, 1112, 20, 36, 44, 2, 128, 0x188, 64, 0, 1, 0},
	{"2.27-2.42", 4, 12, 52, 60, 1092, 1104, 1112, 32, 48, 56, 2, 152, 0x1d0, 76, 1, 1, 0},
	{"2.43", 4, 0, 8, 16, 1048, 1060, 1068, 32, 48, 56, 2, 152, 0x1d0, 76, 1, 1, 1},
};
enum { GLIBC_VERSIONS = sizeof(glibc_versions) / sizeof(glibc_versions[0]) };

enum { CASE_HEAP_LEN = 0x21000, CASE_ARENA = 0x40, CASE_MP = 0x1000, CASE_GLOBALS = 0x2000 };

struct glibc_heap {
	struct heap_case c;
	const struct glibc_version *v;
	taddr_t begin, top; /* of [heap]; where the next chunk comes */
	taddr_t arena;
	taddr_t mapped; /* where the next mapped chunk comes */
};

static inline taddr_t heap_begin(unsigned word)
{
	return word == 8 ? 0x555500000000 : 0x00800000;
}

/* An empty heap, with a mapping for mapped chunks, and a stack. */
static inline void glibc_heap_init(struct glibc_heap *h, const struct glibc_version *v)
{
	unsigned w = v->word;
	struct heap_case *c = &h->c;
	taddr_t mp;

	case_init(c, w);
	h->v = v;
	h->begin = h->top = heap_begin(w);
	case_map(c, h->begin, CASE_HEAP_LEN, "rw-p", "[heap]");
	h->mapped = w == 8 ? 0x7e0000000000 : 0x30000000;
	case_map(c, h->mapped, 0x10000, "rw-p", "");
	case_module(c);
	case_map(c, w == 8 ? 0x7ffff0000000 : 0xbf000000, 0x2000, "rw-p", "[stack]");
	c->thread.sp = c->mappings[c->piece_count - 1].begin + 0x1000;
	h->arena = case_data(c) + CASE_ARENA;
	for (unsigned i = 0; i < 127; i++) {
		taddr_t bin = h->arena + v->bins + (taddr_t)2 * i * w - 2 * w;

		case_put(c, bin + 2 * w, bin);
		case_put(c, bin + 3 * w, bin);
	}
	case_put(c, h->arena + v->next, h->arena);
	if (strcmp(v->name, "2.17-2.22"))
		case_put(c, h->arena + v->system_mem - w, 1); /* attached_threads */
	case_put(c, h->arena + v->system_mem, CASE_HEAP_LEN);
	case_put(c, h->arena + v->system_mem + w, CASE_HEAP_LEN);
	mp = case_data(c) + CASE_MP;
	case_put(c, mp, 128 << 10);
	case_put(c, mp + w, 128 << 10);
	case_put(c, mp + 2 * w, 128 << 10);
	case_put32(c, mp + v->mmaps + 4, 65536);
	case_put(c, mp + v->sbrk_base, h->begin);
	case_put(c, mp + v->sbrk_base + 3 * w, 7); /* tcache_count */
	case_put(c, h->arena + v->top, h->begin);
	case_put(c, h->begin + w, CASE_HEAP_LEN | 1);
}

/* A block of a chunk that is `chunk` bytes long; the top moves up. */
static inline taddr_t glibc_heap_add(struct glibc_heap *h, uint64_t chunk)
{
	unsigned w = h->v->word;
	taddr_t at = h->top;

	case_put(&h->c, at + w, chunk | 1);
	h->top += chunk;
	case_put(&h->c, h->top + w, (h->begin + CASE_HEAP_LEN - h->top) | 1);
	case_put(&h->c, h->arena + h->v->top, h->top);
	return at + 2 * w;
}

/* Frees one into the unsorted bin; it must not be next to the top or another free one. */
static inline void glibc_heap_free(struct glibc_heap *h, taddr_t block)
{
	unsigned w = h->v->word;
	taddr_t chunk = block - 2 * w, bin = h->arena + h->v->bins - 2 * w;
	taddr_t first = case_word(&h->c, bin + 2 * w);
	uint64_t size = case_word(&h->c, chunk + w) & ~7ull;

	case_put(&h->c, block, first);
	case_put(&h->c, block + w, bin);
	case_put(&h->c, first + 3 * w, chunk);
	case_put(&h->c, bin + 2 * w, chunk);
	case_put(&h->c, chunk + size, size);
	case_put(&h->c, chunk + size + w, case_word(&h->c, chunk + size + w) & ~1ull);
}

static inline taddr_t glibc_mask(const struct glibc_version *v, taddr_t at, taddr_t next)
{
	return v->masked ? next ^ at >> 12 : next;
}

/* The thread's cache: a chunk. */
static inline taddr_t glibc_heap_cache(struct glibc_heap *h)
{
	taddr_t cache = glibc_heap_add(h, h->v->cache_chunk);

	for (unsigned i = 0; h->v->down && i < h->v->cache_bins; i++) {
		uint16_t most = i < 64 ? 7 : 0;

		memcpy(case_at(&h->c, cache + 2 * i), &most, 2);
	}
	return cache;
}

static inline void glibc_heap_cache_put(struct glibc_heap *h, taddr_t cache, taddr_t block)
{
	const struct glibc_version *v = h->v;
	unsigned w = v->word;
	uint64_t size = case_word(&h->c, block - w) & ~7ull;
	unsigned bin = (unsigned)((size - 4 * w) / (2 * w));
	taddr_t head = cache + v->cache_entries + bin * w;
	uint8_t *counter = case_at(&h->c, cache + bin * v->cache_counts);

	case_put(&h->c, block, glibc_mask(v, block, case_word(&h->c, head)));
	case_put(&h->c, block + w, cache);
	case_put(&h->c, head, block);
	*counter += v->down ? -1 : 1;
}

static inline void glibc_heap_fast_put(struct glibc_heap *h, taddr_t block)
{
	unsigned w = h->v->word;
	uint64_t size = case_word(&h->c, block - w) & ~7ull;
	taddr_t head = h->arena + h->v->fast + (size / (2 * w) - 2) * w;

	case_put(&h->c, block, glibc_mask(h->v, block, case_word(&h->c, head)));
	case_put(&h->c, head, block - 2 * w);
}

/* A chunk that is a mapping of its own, `offset` bytes behind its begin. */
static inline taddr_t glibc_heap_map(struct glibc_heap *h, uint64_t length, uint64_t offset)
{
	unsigned w = h->v->word;
	taddr_t mp = case_data(&h->c) + CASE_MP, at = h->mapped + offset;

	if (offset && !h->v->huge) /* what memalign() leaves */
		case_put(&h->c, h->mapped + w, length | 2);
	case_put(&h->c, at, offset);
	case_put(&h->c, at + w, (length - offset - (h->v->huge ? 2 * w : 0)) | 2);
	h->mapped += length;
	case_put32(&h->c, mp + h->v->mmaps, (uint32_t)case_word(&h->c, mp + h->v->mmaps) + 1);
	case_put32(&h->c, mp + h->v->mmaps + 8,
		   (uint32_t)case_word(&h->c, mp + h->v->mmaps + 8) + 1);
	case_put(&h->c, mp + h->v->mmapped, case_word(&h->c, mp + h->v->mmapped) + length);
	case_put(&h->c, mp + h->v->mmapped + w,
		 case_word(&h->c, mp + h->v->mmapped + w) + length);
	return at + 2 * w;
}

/* Global number i: a root. */
static inline taddr_t heap_global(struct glibc_heap *h, unsigned i)
{
	return case_data(&h->c) + CASE_GLOBALS + i * h->v->word;
}

/* ---- a heap of musl's --------------------------------------------------------------- */

/*
 * One area of metas; a mapped group of eight slots of class 3 (4 units of 16 bytes), in slot 2
 * of it another group of two slots of class 0; and a block that is a mapping.  In use are slots
 * 0, 1, 3, 4 of the first, slot 1 of the nested one, and the mapping: 6 blocks.
 */
enum { MUSL_CONTEXT = 0x100, MUSL_SECRET = 0x1d2c3b4a, MUSL_BLOCKS = 6 };

struct musl_heap {
	struct heap_case c;
	taddr_t area, group, nested, big;
	taddr_t blocks[MUSL_BLOCKS];
	uint64_t sizes[MUSL_BLOCKS];
};

/* Meta number i: the group's place; bits of free slots; last slot, class, pages. */
static inline void musl_meta(struct musl_heap *h, unsigned i, taddr_t group, uint32_t free,
			     unsigned last, unsigned class, uint64_t pages)
{
	unsigned w = h->c.word;
	taddr_t at = h->area + (w == 8 ? 24 : 16) + i * (4 * w + 8);

	case_put(&h->c, at + 2 * w, group);
	case_put32(&h->c, at + 3 * w, free);
	case_put(&h->c, at + 3 * w + 8, last | class << 6 | pages << 12);
	case_put(&h->c, group, at);
}

/* A block of `size` bytes in slot i, `moved` units behind its begin. */
static inline taddr_t musl_block(struct musl_heap *h, taddr_t group, unsigned stride,
				 unsigned i, unsigned moved, uint64_t size)
{
	taddr_t start = group + 16 + i * stride, block = start + moved * 16;
	uint64_t reserved = start + stride - 4 - block - size;
	uint8_t *p;

	if (moved) {
		case_at(&h->c, start)[-3] = 7 << 5;
		case_at(&h->c, start)[-2] = (uint8_t)moved;
	}
	p = case_at(&h->c, block);
	p[-3] = (uint8_t)(i | (reserved < 5 ? reserved : 5) << 5);
	if (reserved >= 5)
		case_put32(&h->c, start + stride - 8, (uint32_t)reserved);
	return block;
}

static inline void musl_heap_init(struct musl_heap *h, unsigned word, bool has_pagesize)
{
	static const unsigned slots[] = {0, 1, 3, 4};
	static const unsigned sizes[] = {60, 57, 44, 0};
	struct heap_case *c = &h->c;
	taddr_t context;

	case_init(c, word);
	h->group = word == 8 ? 0x7e0000000000 : 0x30000000;
	h->area = h->group + 0x1000;
	h->big = h->group + 0x2000;
	case_map(c, h->group, 0x6000, "rw-p", "");
	case_module(c);
	case_map(c, word == 8 ? 0x7ffff0000000 : 0xbf000000, 0x2000, "rw-p", "[stack]");
	c->thread.sp = c->mappings[c->piece_count - 1].begin + 0x1000;
	context = case_data(c) + MUSL_CONTEXT;
	case_put32(c, context, MUSL_SECRET);
	case_put32(c, context + 4, 0x55);
	context += has_pagesize ? word : 0;
	case_put32(c, context + 8, 1);
	case_put(c, context + 16 + 5 * word, h->area);
	case_put(c, context + 16 + 6 * word, h->area);
	case_put32(c, h->area, MUSL_SECRET);
	case_put32(c, h->area + 4, 0x55);
	case_put32(c, h->area + 8 + word, 3);
	musl_meta(h, 0, h->group, 0xe0, 7, 3, 1);
	for (unsigned i = 0; i < 4; i++) {
		h->sizes[i] = sizes[i];
		h->blocks[i] = musl_block(h, h->group, 64, slots[i], i == 2, sizes[i]);
	}
	h->nested = musl_block(h, h->group, 64, 2, 0, 60);
	case_at(c, h->nested)[-3] = 2 | 6 << 5;
	musl_meta(h, 1, h->nested, 1, 1, 0, 0);
	h->sizes[4] = 12;
	h->blocks[4] = musl_block(h, h->nested, 16, 1, 0, 12);
	musl_meta(h, 2, h->big, 0, 0, 63, 3);
	h->sizes[5] = 0x2800;
	h->blocks[5] = musl_block(h, h->big, 0x3000 - 16, 0, 0, 0x2800);
}

/* ---- a heap of musl's until 1.2.0 -------------------------------------------------------- */

/*
 * A heap by brk() with chunks of 4, 8 (free), 4 and 12 words and the rest, free, in its page; one by
 * mmap() with a block that fills it; and a block that is a mapping.  5 blocks.
 */
enum { OLD_MAL = 0x100, OLD_BLOCKS = 5 };

struct old_heap {
	struct heap_case c;
	taddr_t heap, more, large, mal;
	uint64_t large_len;
	taddr_t blocks[OLD_BLOCKS];
	uint64_t sizes[OLD_BLOCKS];
	unsigned count;
};

static inline taddr_t old_bin(const struct old_heap *h, unsigned i)
{
	return h->mal + 8 + i * (8 + 2 * h->c.word) + 8 - 2 * h->c.word;
}

/* A chunk at `at`, and the head of the one behind it. */
static inline taddr_t old_chunk(struct old_heap *h, taddr_t at, uint64_t size, bool used)
{
	unsigned w = h->c.word;

	case_put(&h->c, at + w, size | used);
	case_put(&h->c, at + size, size | used);
	if (used) {
		h->blocks[h->count] = at + 2 * w;
		h->sizes[h->count++] = size - 2 * w;
	}
	return at + size;
}

/* Puts a free chunk into an empty bin. */
static inline void old_free(struct old_heap *h, taddr_t chunk, unsigned bin)
{
	unsigned w = h->c.word;
	taddr_t self = old_bin(h, bin);

	case_put(&h->c, chunk + 2 * w, self);
	case_put(&h->c, chunk + 3 * w, self);
	case_put(&h->c, self + 2 * w, chunk);
	case_put(&h->c, self + 3 * w, chunk);
	*case_at(&h->c, h->mal + bin / 8) |= (uint8_t)(1u << bin % 8);
}

static inline void old_heap_init(struct old_heap *h, unsigned word)
{
	struct heap_case *c = &h->c;
	unsigned w = word;
	taddr_t at, first, rest;

	case_init(c, word);
	h->count = 0;
	h->large_len = w == 8 ? 0x39000 : 0x1d000;
	h->heap = heap_begin(w);
	h->more = w == 8 ? 0x7e0000000000 : 0x30000000;
	h->large = h->more + 0x2000;
	case_map(c, h->heap, 0x1000, "rw-p", "[heap]");
	case_map(c, h->more, 0x2000 + h->large_len + 0x1000, "rw-p", "");
	case_module(c);
	case_map(c, w == 8 ? 0x7ffff0000000 : 0xbf000000, 0x2000, "rw-p", "[stack]");
	c->thread.sp = c->mappings[c->piece_count - 1].begin + 0x1000;
	c->thread.in_syscall = true;
	h->mal = case_data(c) + OLD_MAL;
	case_put(c, old_bin(h, 5) + 2 * w, old_bin(h, 5));
	case_put(c, old_bin(h, 5) + 3 * w, old_bin(h, 5));
	at = h->heap + 2 * w;
	case_put(c, at, 1);
	at = old_chunk(h, at, 4 * w, true);
	first = at;
	at = old_chunk(h, at, 8 * w, false);
	at = old_chunk(h, at, 4 * w, true);
	at = old_chunk(h, at, 12 * w, true);
	rest = at;
	at = old_chunk(h, at, h->heap + 0x1000 - 2 * w - at, false);
	case_put(c, at + w, 1);
	old_free(h, first, 1);
	old_free(h, rest, 40);
	at = h->more + 2 * w;
	case_put(c, at, 1);
	at = old_chunk(h, at, 0x2000 - 4 * w, true);
	case_put(c, at + w, 1);
	at = h->large + 2 * w;
	case_put(c, at, 2 * w);
	case_put(c, at + w, h->large_len - 2 * w);
	h->blocks[h->count] = at + 2 * w;
	h->sizes[h->count++] = h->large_len - 4 * w;
}

/* ---- a heap of jemalloc's ------------------------------------------------------------- */

/* (include/jemalloc/internal/{edata,rtree,sc}.h of 5.3.0, {extent_structs,rtree}.h of 5.2.1) */
struct je_version {
	const char *name;
	unsigned word, page_shift, fan, entry; /* entry: bytes of a leaf's */
	unsigned state, class, free;	       /* shifts in an extent's bits */
	unsigned bitmap, quantum;
	bool newer;
};
static const struct je_version je_versions[] = {
	{"5.3", 8, 12, 18, 8, 17, 20, 28, 64, 16, true},
	{"5.2", 8, 12, 18, 8, 16, 18, 26, 64, 16, false},
	{"5.3", 8, 16, 16, 8, 17, 20, 28, 64, 16, true},
	{"5.2", 8, 16, 16, 8, 16, 18, 26, 64, 16, false},
	{"5.3", 4, 12, 10, 8, 17, 20, 27, 48, 8, true},
	{"5.2", 4, 12, 10, 12, 16, 18, 25, 40, 8, false},
	{"5.3", 4, 16, 8, 8, 17, 20, 27, 48, 8, true},
	{"5.2", 4, 16, 8, 12, 16, 18, 25, 40, 8, false},
};
enum { JE_VERSIONS = sizeof(je_versions) / sizeof(je_versions[0]) };

/*
 * A slab of regions of 64 bytes (in use 0, 1, 2, 5; 8 and 9 in a thread's cache), one of 8 bytes (the
 * first and the last), a large block that begins within a page, free pages, and the array of the caches.
 */
enum { JE_BLOCKS = 7, JE_ROOT = 0x2200, JE_BASE = 2 << 20, JE_BINS = 6, JE_BIN = 24, JE_CACHED = 8 };

struct je_heap {
	struct heap_case c;
	const struct je_version *v;
	taddr_t heap, base, leaf, stacks, bins;
	taddr_t blocks[JE_BLOCKS];
	uint64_t sizes[JE_BLOCKS];
	unsigned extents;
};

static inline unsigned je_class(const struct je_version *v, uint64_t size)
{
	unsigned class = v->quantum == 16;
	uint64_t s = v->quantum;

	if (size == 8)
		return 0;
	for (; s < size; class++) {
		uint64_t base = 1;

		while (base * 2 <= s)
			base *= 2;
		s += s < 4 * v->quantum ? v->quantum : base / 4;
	}
	return class;
}

/* The next extent: `pages` from page number `page` on; returns where it is described. */
static inline taddr_t je_extent(struct je_heap *h, unsigned page, unsigned pages, unsigned within,
				uint64_t size, bool slab, unsigned free, unsigned state)
{
	const struct je_version *v = h->v;
	taddr_t at = h->base + 0x1000 + (taddr_t)h->extents++ * (v->page_shift == 16 ? 2048 : 128);
	taddr_t entry = h->leaf + (taddr_t)page * v->entry;
	uint64_t class = je_class(v, size);
	uint64_t bits = 3 | (uint64_t)slab << 12 | (uint64_t)state << v->state | class << v->class |
			(uint64_t)free << v->free;

	memcpy(case_at(&h->c, at), &bits, 8);
	case_put(&h->c, at + 8, h->heap + ((taddr_t)page << v->page_shift) + within);
	case_put(&h->c, at + 8 + v->word, (uint64_t)pages << v->page_shift | 7);
	if (v->word == 8) {
		case_put(&h->c, entry, class << 48 | at | slab);
		return at;
	}
	case_put(&h->c, entry, at);
	case_put32(&h->c, entry + 4, (uint32_t)(v->entry == 8 ? class << 5 | slab : class));
	if (v->entry == 12)
		*case_at(&h->c, entry + 8) = slab;
	return at;
}

static inline void je_set_free(struct je_heap *h, taddr_t extent, unsigned region, bool free)
{
	uint8_t *byte = case_at(&h->c, extent + h->v->bitmap + region / 8);

	*byte = (uint8_t)((*byte & ~(1 << region % 8)) | free << region % 8);
}

/* Bin number i: it has the last `count` words of its stack. */
static inline void je_bin(struct je_heap *h, taddr_t at, taddr_t end, unsigned count)
{
	unsigned w = h->v->word;
	taddr_t first = end - (taddr_t)count * w;

	if (!h->v->newer) {
		case_put32(&h->c, at + 4, count);
		case_put(&h->c, at + 16, end);
		return;
	}
	case_put(&h->c, at, first);
	case_put32(&h->c, at + 16,
		   (uint32_t)(first & 0xffff) | (uint32_t)((end - JE_CACHED * w) & 0xffff) << 16);
	case_put32(&h->c, at + 20, (uint32_t)(end & 0xffff));
}

static inline void je_slabs(struct je_heap *h)
{
	static const unsigned used[] = {0, 1, 2, 5};
	uint64_t page = 1ull << h->v->page_shift;
	unsigned count = (unsigned)(page / 64), tiny = (unsigned)(page / 8);
	taddr_t slab = je_extent(h, 0, 1, 0, 64, true, count - 6, 0);

	for (unsigned i = 0; i < count; i++)
		je_set_free(h, slab, i, i > 9 || !(0x327 >> i & 1));
	for (unsigned i = 0; i < 4; i++) {
		h->blocks[i] = h->heap + 64 * used[i];
		h->sizes[i] = 64;
	}
	slab = je_extent(h, 1, 1, 0, 8, true, tiny - 2, 0);
	for (unsigned i = 0; i < tiny; i++)
		je_set_free(h, slab, i, i && i != tiny - 1);
	h->blocks[4] = h->heap + page;
	h->blocks[5] = h->heap + 2 * page - 8;
	h->sizes[4] = h->sizes[5] = 8;
}

static inline void je_map(struct je_heap *h)
{
	case_map(&h->c, h->heap, 32ull << h->v->page_shift, "rw-p", "");
	case_map(&h->c, h->base, JE_BASE + ((size_t)h->v->entry << h->v->fan), "rw-p", "");
}

static inline void je_heap_init(struct je_heap *h, const struct je_version *v)
{
	struct heap_case *c = &h->c;
	uint64_t page = 1ull << v->page_shift;
	taddr_t stack = v->word == 8 ? 0x7ffff0000000 : 0xbf000000;

	case_init(c, v->word);
	h->v = v;
	h->extents = 0;
	h->heap = v->page_shift == 16 && v->word == 8 ? 0xfffe00000000
		  : v->word == 8			? 0x7e0000000000
							: 0x30000000;
	h->base = h->heap + 0x1000000;
	h->leaf = h->base + JE_BASE;
	if (h->heap < case_data(c))
		je_map(h);
	c->data_len = JE_ROOT + ((size_t)v->word << v->fan) + 0x1000;
	case_module(c);
	case_map(c, stack, 0x8000, "rw-p", "[stack]");
	if (h->heap > stack) /* (as AArch64's are, with all 48 bits) */
		je_map(h);
	c->thread.sp = stack + 0x1000;
	c->thread.tp = stack + 0x7000;
	case_put(c, case_data(c) + JE_ROOT + (h->heap >> (v->page_shift + v->fan)) * v->word, h->leaf);
	je_slabs(h);
	h->blocks[6] = h->heap + 2 * page + 0x340;
	h->sizes[6] = 8 * page;
	je_extent(h, 2, 9, 0x340, 8 * page, false, 0, 0);
	je_extent(h, 12, 4, 0, 4 * page, false, 0, 1);
	h->stacks = h->heap + 16 * page;
	je_extent(h, 16, 5, 0, 4 * page, false, 0, 0);
	h->bins = c->thread.tp - 0x200;
	for (unsigned i = 0; i < JE_BINS; i++)
		je_bin(h, h->bins + i * JE_BIN, h->stacks + (taddr_t)(i + 1) * JE_CACHED * v->word,
		       i == 3 ? 2 : 0);
	for (unsigned i = 0; i < 2; i++)
		case_put(c, h->stacks + (4 * JE_CACHED - 2 + i) * (taddr_t)v->word, h->heap + 64 * (8 + i));
}

#endif
