/* A recorded process (tests/targets/heap_image.h) as leak_create() takes it. */
#ifndef MEMTRACE_HEAP_IMAGE_CASE_H
#define MEMTRACE_HEAP_IMAGE_CASE_H

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../targets/heap_image.h"
#include "base/cursor.h"
#include "base/order.h"
#include "heap/leak/leak.h"

struct image_page {
	taddr_t at;
	uint8_t bytes[HEAP_IMAGE_PAGE];
};

struct image_elf {
	struct memory_buffer file;
	const uint8_t *bytes; /* of the file, and in memory where it begins */
	size_t len;
	struct module module;
};

struct image_block {
	taddr_t addr;
	uint64_t size;
	enum leak_class class;
};

struct heap_image {
	struct memory memory; /* first */
	uint8_t *bytes;	      /* of the file: texts and ELF headers lie in it */
	struct cursor in;
	struct leak_input input;
	struct maps maps;
	struct modules modules;
	struct image_elf *elfs;
	struct leak_thread *threads;
	uint64_t (*regs)[HEAP_IMAGE_REGS];
	struct image_page *pages;
	size_t page_count;
	struct image_block *blocks;
	size_t block_count;
	uint64_t reads;
};

static inline uint64_t recorded_number(struct heap_image *i)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = cursor_u8(&i->in);

		value |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			break;
	}
	return value;
}

static inline const uint8_t *recorded_bytes(struct heap_image *i, size_t *len)
{
	*len = recorded_number(i);
	return cursor_bytes(&i->in, *len);
}

static inline char *recorded_text(struct heap_image *i)
{
	size_t len;
	const char *text = (const char *)recorded_bytes(i, &len);

	return strndup(text ? text : "", len);
}

/* Of a page that the image does not have: where a module begins, its ELF header. */
static inline void recorded_header(const struct heap_image *image, taddr_t page, uint8_t *ret)
{
	memset(ret, 0, HEAP_IMAGE_PAGE);
	for (size_t m = 0; m < image->modules.mapped.len; m++)
		if (image->elfs[m].module.begin == page && image->elfs[m].bytes)
			memcpy(ret, image->elfs[m].bytes, image->elfs[m].len);
}

/* A page of zeros where the map says that there is memory which the image does not have. */
static inline int recorded_read(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct heap_image *image = (struct heap_image *)memory;
	uint8_t *out = buf, header[HEAP_IMAGE_PAGE];

	image->reads++;
	while (len) {
		const struct mapping *mapping = maps_find(&image->maps, addr);
		size_t within = addr % HEAP_IMAGE_PAGE, n = HEAP_IMAGE_PAGE - within;
		size_t place = order_count(image->page_count, i, image->pages[i].at + within < addr);

		if (!mapping || !mapping->read)
			return -EIO;
		n = n < len ? n : len;
		if (place < image->page_count && image->pages[place].at + within == addr)
			memcpy(out, image->pages[place].bytes + within, n);
		else {
			recorded_header(image, addr - within, header);
			memcpy(out, header + within, n);
		}
		out += n;
		addr += n;
		len -= n;
	}
	return 0;
}

static inline void recorded_threads(struct heap_image *i)
{
	size_t count = recorded_number(i);

	i->threads = calloc(count, sizeof(*i->threads));
	i->regs = calloc(count, sizeof(*i->regs));
	for (size_t t = 0; t < count; t++) {
		struct leak_thread *thread = &i->threads[t];

		thread->tid = (int)recorded_number(i);
		thread->sp = recorded_number(i);
		thread->tp = recorded_number(i);
		thread->in_syscall = recorded_number(i);
		thread->reg_count = recorded_number(i);
		assert(thread->reg_count <= HEAP_IMAGE_REGS);
		for (size_t r = 0; r < thread->reg_count; r++)
			i->regs[t][r] = recorded_number(i);
		thread->regs = i->regs[t];
	}
	i->input.threads = i->threads;
	i->input.thread_count = count;
}

static inline void recorded_modules(struct heap_image *i)
{
	size_t count = recorded_number(i);

	i->elfs = calloc(count, sizeof(*i->elfs));
	i->modules.mapped.at = calloc(count, sizeof(*i->modules.mapped.at));
	i->modules.mapped.len = count;
	for (size_t m = 0; m < count; m++) {
		struct module *module = &i->elfs[m].module;
		struct err err;
		const uint8_t *elf;
		size_t len;

		module->instance = (uint32_t)m + 1;
		module->begin = recorded_number(i);
		module->end = recorded_number(i);
		module->bias = recorded_number(i);
		module->id.path = recorded_text(i);
		module->mapped = true;
		elf = recorded_bytes(i, &len);
		i->elfs[m].bytes = elf;
		i->elfs[m].len = len;
		memory_buffer_init(&i->elfs[m].file, 0, elf, len);
		if (len && image_open(&i->elfs[m].file.memory, &module->image, &err))
			module->image = NULL;
		i->modules.mapped.at[m] = module;
	}
}

static inline void recorded_mappings(struct heap_image *i)
{
	size_t count = recorded_number(i);

	i->maps.list.at = calloc(count, sizeof(*i->maps.list.at));
	i->maps.list.len = count;
	for (size_t m = 0; m < count; m++) {
		struct mapping *mapping = &i->maps.list.at[m];
		uint64_t flags;

		mapping->begin = recorded_number(i);
		mapping->end = recorded_number(i);
		flags = recorded_number(i);
		mapping->read = flags & 1;
		mapping->write = flags >> 1 & 1;
		mapping->exec = flags >> 2 & 1;
		mapping->shared = flags >> 3 & 1;
		mapping->path = recorded_text(i);
	}
}

static inline void recorded_pages(struct heap_image *i)
{
	i->page_count = recorded_number(i);
	i->pages = calloc(i->page_count, sizeof(*i->pages));
	for (size_t p = 0; p < i->page_count; p++) {
		struct image_page *page = &i->pages[p];

		page->at = recorded_number(i);
		for (size_t at = 0; at < HEAP_IMAGE_PAGE;) {
			const uint8_t *bytes;
			size_t len;

			at += recorded_number(i);
			bytes = recorded_bytes(i, &len);
			assert(bytes && at + len <= HEAP_IMAGE_PAGE);
			memcpy(page->bytes + at, bytes, len);
			at += len;
		}
	}
}

static inline void recorded_blocks(struct heap_image *i)
{
	i->block_count = recorded_number(i);
	i->blocks = calloc(i->block_count, sizeof(*i->blocks));
	for (size_t b = 0; b < i->block_count; b++) {
		i->blocks[b].addr = recorded_number(i);
		i->blocks[b].size = recorded_number(i);
		i->blocks[b].class = (enum leak_class)recorded_number(i);
	}
}

/* False: there is no such file. */
static inline bool heap_image_load(struct heap_image *i, const char *path)
{
	FILE *file = fopen(path, "re");
	long len;

	memset(i, 0, sizeof(*i));
	if (!file)
		return false;
	fseek(file, 0, SEEK_END);
	len = ftell(file);
	rewind(file);
	i->bytes = malloc((size_t)len);
	assert(fread(i->bytes, 1, (size_t)len, file) == (size_t)len);
	fclose(file);
	i->in = cursor_over(i->bytes, (size_t)len);
	assert(!memcmp(cursor_bytes(&i->in, strlen(HEAP_IMAGE_MAGIC)), HEAP_IMAGE_MAGIC,
		       strlen(HEAP_IMAGE_MAGIC)));
	i->memory.read = recorded_read;
	i->input = (struct leak_input){.memory = &i->memory, .maps = &i->maps, .modules = &i->modules};
	i->input.cpu.machine = (uint16_t)recorded_number(i);
	i->input.cpu.word = (uint8_t)recorded_number(i);
	i->input.cpu.tag_bits = (uint8_t)recorded_number(i);
	i->input.cpu.red_zone = (uint16_t)recorded_number(i);
	recorded_threads(i);
	recorded_modules(i);
	recorded_mappings(i);
	recorded_pages(i);
	recorded_blocks(i);
	assert(!cursor_left(&i->in) && !i->in.bad);
	return true;
}

static inline void heap_image_free(struct heap_image *i)
{
	for (size_t m = 0; m < i->modules.mapped.len; m++) {
		image_close(i->elfs[m].module.image);
		free((char *)i->elfs[m].module.id.path);
	}
	for (size_t m = 0; m < i->maps.list.len; m++)
		free((char *)i->maps.list.at[m].path);
	free(i->modules.mapped.at);
	free(i->maps.list.at);
	free(i->elfs);
	free(i->threads);
	free(i->regs);
	free(i->pages);
	free(i->blocks);
	free(i->bytes);
}

#endif
