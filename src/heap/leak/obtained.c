/*
 * What allocators have of the kernel, read from a process that runs.
 *
 *   glibc     system_mem of each arena in the ring, and mmapped_mem of mp_: what malloc_info() says
 *   musl      the mappings of groups, by their metas, and the metas' own pages (mallocng)
 *   jemalloc  extents in use or kept (active, dirty, muzzy): not those that are address space alone
 *
 * Where their state lies is found as for a look for leaks (enumerate.c), but in the mappings, as no
 * file need be opened: a module's .data is a private, writable mapping of its file, and .bss the
 * anonymous one right behind it.  From then on the addresses are enough.  No thread is stopped, so
 * one number may be of before a call and the next of behind it; each is true by itself.
 */
#include "heap/leak/obtained.h"

#include <errno.h>

#include "heap/leak/obtained_parts.h"

enum { STREAM = 16 << 10, JUMP = 4096, JUMPS = 16, DATA_MAX = 16 << 20, PASS_MAX = 256 << 20,
       CALL = 128 /* bytes that are read in the time of a call */,
       FIND_CALLS = 3000 /* to find them in a module's data */ };

struct obtained {
	struct memory memory; /* of the process, but no more than PASS_MAX in one pass: whatever its
				 memory says, a pass ends */
	struct memory *process;
	uint64_t left;
	uint32_t calls; /* that are left */
	struct leak leak; /* its input and readers alone */
	VEC(struct obtained_source) sources;
};

static obtained_finder *const finders[] = {glibc_obtained, musl_obtained, jemalloc_obtained};

static int read_some(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct obtained *o = (struct obtained *)memory;

	if (len + CALL > o->left || !o->calls)
		return -EIO;
	o->left -= len + CALL;
	o->calls--;
	return memory_read(o->process, addr, buf, len);
}

static bool readers_open(struct obtained *o, const struct maps *maps, uint32_t calls)
{
	struct leak *leak = &o->leak;
	uint8_t word = leak->in.cpu.word;

	leak->in.maps = maps;
	o->left = PASS_MAX;
	o->calls = calls;
	return reader_init(&leak->stream, leak->in.memory, maps, word, STREAM, 1) &&
	       reader_init(&leak->jump, leak->in.memory, maps, word, JUMP, JUMPS);
}

static void readers_close(struct obtained *o)
{
	reader_deinit(&o->leak.stream);
	reader_deinit(&o->leak.jump);
	o->leak.stream = o->leak.jump = (struct reader){0};
	o->leak.in.maps = NULL;
}

/* ---- to find them -------------------------------------------------------------------- */

/* Where the data that begins with mapping i ends. */
static taddr_t data_end(const struct maps *maps, size_t i)
{
	const struct mapping *m = &maps->list.at[i], *next = m + 1;
	taddr_t end = m->end;

	if (i + 1 < maps->list.len && next->begin == end && mapping_is_anonymous(next))
		end = next->end;
	return end - m->begin > DATA_MAX ? m->begin + DATA_MAX : end;
}

static void look_at(struct obtained *o, const struct data *data)
{
	for (size_t i = 0; i < ARRAY_SIZE(finders); i++) {
		struct obtained_source source = {0};

		if (finders[i](&o->leak, data, &source))
			(void)vec_push(&o->sources, source);
	}
}

static void look_in(struct obtained *o, taddr_t begin, taddr_t end)
{
	struct data data = {NULL, begin, (size_t)(end - begin), NULL};
	uint8_t *bytes = calloc(data.len, 1);

	/* (page by page where something is missing: a page server's) */
	if (bytes && memory_read(o->leak.in.memory, begin, bytes, data.len))
		for (size_t at = 0; at < data.len; at += JUMP)
			if (memory_read(o->leak.in.memory, begin + at, bytes + at, JUMP))
				memset(bytes + at, 0, JUMP);
	data.bytes = bytes;
	if (bytes)
		look_at(o, &data);
	free(bytes);
}

/* A device's memory: reading may do something. */
static bool is_device(const char *path)
{
	return !strncmp(path, "/dev/", 5) && strncmp(path, "/dev/shm/", 9);
}

struct obtained *obtained_find(struct memory *memory, const struct maps *maps,
			       const struct leak_cpu *cpu)
{
	struct obtained *o = calloc(1, sizeof(*o));
	bool opened;

	if (!o)
		return NULL;
	o->memory.read = read_some;
	o->process = memory;
	o->leak.in.memory = &o->memory;
	o->leak.in.cpu = *cpu;
	opened = readers_open(o, maps, 0);
	for (size_t i = 0; opened && i < maps->list.len; i++) {
		const struct mapping *m = &maps->list.at[i];

		o->calls = FIND_CALLS;
		if (m->inode && m->write && m->read && !m->shared && !is_device(m->path))
			look_in(o, m->begin, data_end(maps, i));
	}
	readers_close(o);
	if (o->sources.len)
		return o;
	obtained_destroy(o);
	return NULL;
}

/* ---- to read them -------------------------------------------------------------------- */

bool obtained_read(struct obtained *o, uint64_t *bytes)
{
	/* (what is mapped by now nobody has asked; a read says whether something is there) */
	struct mapping all = {.end = UINT64_MAX, .read = true, .write = true, .path = ""};
	struct maps maps = {.list = {&all, 1, 1}};
	bool known = readers_open(o, &maps, UINT32_MAX);

	*bytes = 0;
	for (size_t i = 0; known && i < o->sources.len; i++) {
		uint64_t one = 0;

		known = o->sources.at[i].read(&o->leak, &o->sources.at[i], &one);
		*bytes += one;
	}
	readers_close(o);
	return known;
}

void obtained_destroy(struct obtained *o)
{
	if (!o)
		return;
	vec_deinit(&o->sources);
	free(o);
}
