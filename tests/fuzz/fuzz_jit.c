/*
 * What a runtime has written of the code that it generated, and anybody may have: the first byte says
 *
 *     0  /tmp/perf-PID.map     1  jitdump     2  lists of gdb's JIT interface, in a process' memory
 *
 * What is held: nothing outside of it is read; of functions none lies over another, each is found, its
 * name ends; of files shown, no more than may be is kept, each is found by its code.
 */
#include <string.h>

#include "capture/jit_objects.h"
#include "elf/jit_functions.h"
#include "fuzz.h"

enum { BASE = 0x10000, HEAD = 24 };

static void check_functions(const struct jit_functions *functions, struct memory *file, uint64_t whole, bool dump)
{
	char name[JIT_NAME];

	for (size_t i = 0; i < functions->list.len; i++) {
		const struct jit_function *f = &functions->list.at[i];

		assert(f->begin && f->begin < f->end && (!i || f[-1].end <= f->begin));
		assert(jit_functions_find(functions, f->begin) == f);
		assert(jit_functions_find(functions, f->end - 1) == f);
		if ((dump ? jit_dump_name : jit_perf_map_name)(file, whole, f, name))
			assert(*name && strlen(name) < sizeof(name));
	}
}

/* As it grows: its first half, then all. */
static void file(const uint8_t *data, size_t size, bool dump)
{
	struct jit_functions functions = {0};
	struct memory_buffer buffer;
	uint64_t at = 0, ends[] = {size / 2, size};

	for (int i = 0; i < 2; i++) {
		uint64_t before = at;

		memory_buffer_init(&buffer, 0, data, ends[i]);
		(dump ? jit_read_dump : jit_read_perf_map)(&buffer.memory, 0, &at, ends[i], &functions);
		assert(at >= before);
		if (at > ends[i]) /* a dump's header alone may be longer than it is yet */
			assert(dump && !functions.news.len);
		assert(jit_functions_merge(&functions));
		check_functions(&functions, &buffer.memory, at, dump);
	}
	jit_functions_deinit(&functions);
}

static void check_shown(const struct jit_objects *objects)
{
	struct row row;

	for (size_t i = 0; i < objects->shown.len; i++) {
		struct jit_shown *shown = objects->shown.at[i];

		assert(shown->object.code.len);
		fuzz_touch(shown->object.frames, shown->object.frames_len);
		for (size_t k = 0; k < shown->object.symbols.len; k++)
			fuzz_touch(shown->object.symbols.at[k].name, strlen(shown->object.symbols.at[k].name));
		for (size_t k = 0; k < shown->object.code.len; k++) {
			taddr_t pc = shown->object.code.at[k].begin;

			assert(jit_objects_find(objects, pc));
			jit_object_symbol(&shown->object, pc);
			if (shown->cfi)
				cfi_row(shown->cfi, pc, &row);
		}
	}
}

/* Two libraries have one, at its begin; then each is told of by one of them, or by one that has none. */
static void lists(const uint8_t *data, size_t size)
{
	struct jit_objects objects = {.count = 2, .lists = {{.at = BASE, .instance = 1}, {.at = BASE + HEAD, .instance = 2}}};
	struct memory_buffer process;

	memory_buffer_init(&process, BASE, data, size);
	jit_objects_update(&objects, &process.memory, &arch_x86_64, false);
	check_shown(&objects);
	for (uint32_t by = 1; by <= 3; by++) {
		jit_objects_told(&objects, &process.memory, &arch_x86_64, by);
		check_shown(&objects);
	}
	jit_objects_clear(&objects);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (*data % 3 == 2)
		lists(data + 1, size - 1);
	else
		file(data + 1, size - 1, *data % 3);
	return 0;
}
