/*
 * jit-PID.dump, by the jitdump specification (linux/tools/perf/Documentation, version 1):
 *
 *   header   magic "JiTD" u32, version u32, size u32, machine u32, pad u32, pid u32,
 *            timestamp u64, flags u64
 *   record   id u32, size u32 (all of it), timestamp u64, and what belongs to it
 *   0, JIT_CODE_LOAD   pid u32, tid u32, vma u64, address u64, code size u64, index u64, the name
 *                      and a 0, the code
 *
 * In the byte order of who wrote it, which the magic shows.  Code that is moved (JIT_CODE_MOVE,
 * which no runtime known to us writes) has no name where it has come to.
 */
#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "elf/jit_functions.h"

enum {
	DUMP_HEADER = 40,
	RECORD_HEADER = 16,
	LOAD_HEADER = RECORD_HEADER + 40,
	LOAD = 0,
	SMALLEST = RECORD_HEADER,
};
#define MAGIC 0x4a695444u

struct record {
	uint32_t id, size;
	uint64_t address, code_size; /* of JIT_CODE_LOAD */
};

static int header_read(struct memory *file, bool *big, uint32_t *size)
{
	uint8_t bytes[DUMP_HEADER];
	struct cursor c;

	if (memory_read(file, 0, bytes, sizeof(bytes)))
		return -EIO;
	c = cursor_over(bytes, sizeof(bytes));
	*big = cursor_u32(&c) != MAGIC;
	c = cursor_in_order(bytes, sizeof(bytes), *big);
	if (cursor_u32(&c) != MAGIC || cursor_u32(&c) != 1)
		return -EINVAL;
	*size = cursor_u32(&c);
	return *size < DUMP_HEADER ? -EINVAL : 0;
}

static bool record_read(struct memory *file, uint64_t at, bool big, struct record *ret)
{
	uint8_t bytes[LOAD_HEADER] = {0};
	struct cursor c = cursor_in_order(bytes, sizeof(bytes), big);

	if (memory_read(file, at, bytes, RECORD_HEADER))
		return false;
	ret->id = cursor_u32(&c);
	ret->size = cursor_u32(&c);
	ret->address = ret->code_size = 0;
	if (ret->size < SMALLEST)
		return false;
	if (ret->id != LOAD || ret->size < LOAD_HEADER)
		return true;
	if (memory_read(file, at, bytes, LOAD_HEADER))
		return false;
	cursor_bytes(&c, 8 + 4 + 4 + 8); /* timestamp, pid, tid, vma */
	ret->address = cursor_u64(&c);
	ret->code_size = cursor_u64(&c);
	return true;
}

int jit_read_dump(struct memory *file, uint32_t number, uint64_t *at, uint64_t end,
		  struct jit_functions *to)
{
	struct record record;
	uint32_t size;
	bool big;
	int rc = header_read(file, &big, &size);

	if (rc)
		return rc;
	if (*at < size)
		*at = size;
	while (*at < end && record_read(file, *at, big, &record) && record.size <= end - *at) {
		if (!jit_functions_add(to, record.address, record.code_size, *at, number))
			return -ENOMEM;
		*at += record.size;
	}
	return 0;
}

bool jit_dump_name(struct memory *file, uint64_t whole, const struct jit_function *function,
		   char name[JIT_NAME])
{
	uint32_t size;
	struct record record;
	size_t len;
	bool big;

	if (header_read(file, &big, &size) || !record_read(file, function->at, big, &record) ||
	    function->at + record.size > whole || record.address != function->begin || record.size <= LOAD_HEADER)
		return false;
	len = record.size - LOAD_HEADER < JIT_NAME - 1 ? record.size - LOAD_HEADER : JIT_NAME - 1;
	if (memory_read(file, function->at + LOAD_HEADER, name, len))
		return false;
	name[len] = '\0';
	return *name;
}
