/*
 * Recorded stacks of every CPU (tests/offline/cases, see capture/case.h), walked again:
 * exactly the expected frames, and the expected end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <elf.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/recording.h"
#include "capture/case.h"
#include "unwind/external.h"

#define CASES "tests/offline/cases"

enum { FRAMES = 512 };

static struct loaded { /* a case, read */
	struct walk_case c;
	struct modules modules;
	struct externals externals;
	uint8_t stack[1 << 16];
	frame_t frames[FRAMES];
	size_t count;
	unsigned end;
	bool has_source; /* it says where its frames are known from */
} now;

static size_t file_read(const char *path, uint8_t *buf, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t n = file ? fread(buf, 1, size, file) : 0;

	if (file)
		fclose(file);
	if (!n)
		fail_msg("%s cannot be read", path);
	return n;
}

static void pieces_load(struct recording *pieces, const char *path)
{
	static uint8_t bytes[1 << 20];
	struct cursor c = cursor_over(bytes, file_read(path, bytes, sizeof(bytes)));

	while (cursor_left(&c)) {
		uint64_t begin = cursor_u64(&c), len = cursor_u64(&c);
		const uint8_t *data = cursor_bytes(&c, len);

		if (!data || recording_add(pieces, begin, data, len))
			fail_msg("%s is broken", path);
	}
}

/* ---- lines ------------------------------------------------------------------ */

static void take_image(struct module *module, const char *folder, const char *name)
{
	struct recording *pieces = malloc(sizeof(*pieces));
	bool loaded = strstr(name, ".memory") != NULL;
	char path[1024];
	struct err err = {0};

	recording_init(pieces, NULL, loaded ? module->begin : 0);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (access(path, R_OK)) /* what all cases share */
		snprintf(path, sizeof(path), CASES "/modules/%s", name);
	pieces_load(pieces, path);
	module->source = &pieces->memory;
	if (loaded ? image_open_loaded(module->source, module->begin, &module->image, &err)
		   : image_open(module->source, &module->image, &err))
		fail_msg("%s: %s", path, err.text);
}

static void take_module(const char *line, const char *folder)
{
	struct module *module = calloc(1, sizeof(*module));
	char id[130], name[300], path[600];
	uint64_t begin, end, bias;
	unsigned instance;

	assert_int_equal(sscanf(line,
				"module %x %" SCNx64 " %" SCNx64 " %" SCNx64
				" %129s %299s %599[^\n]",
				&instance, &begin, &end, &bias, id, name, path),
			 7);
	*module = (struct module){.instance = instance,
				  .id.path = strdup(path),
				  .begin = begin,
				  .end = end,
				  .bias = bias,
				  .mapped = true};
	for (const char *at = id;
	     sscanf(at, "%2hhx", &module->id.build_id[module->id.build_id_len]) == 1; at += 2)
		module->id.build_id_len++;
	while (now.modules.list.len < instance)
		assert_true(vec_push(&now.modules.list, NULL));
	now.modules.list.at[instance - 1] = module;
	assert_true(vec_push(&now.modules.mapped, module));
	if (strcmp(name, "-"))
		take_image(module, folder, name);
}

static struct external *supply_of(const struct module *module)
{
	struct external *external = (struct external *)externals_find(&now.externals, module);

	if (external)
		return external;
	external = calloc(1, sizeof(*external));
	assert_true(module_id_copy(&external->id, &module->id));
	assert_true(vec_push(&now.externals, external));
	return external;
}

struct line_row {
	unsigned instance;
	uint64_t vaddr;
	struct row row;
};

static int by_vaddr(const void *a, const void *b)
{
	const struct line_row *left = a, *right = b;

	return left->vaddr < right->vaddr ? -1 : left->vaddr > right->vaddr;
}

/* A table is filled in ascending order; its lines are in the order of frames. */
static VEC(struct line_row) rows;

static void take_row(const char *line)
{
	unsigned v[7];
	struct line_row r = {0};

	assert_int_equal(sscanf(line, "row %x %" SCNx64 " %x %x %x %x %x %x %x", &r.instance,
				&r.vaddr, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6]),
			 9);
	r.row = (struct row){.cfa = (uint8_t)v[0],
			     .cfa_offset = (int32_t)v[1],
			     .ra = (uint8_t)v[2],
			     .ra_offset = (int16_t)v[3],
			     .fp = (uint8_t)v[4],
			     .fp_offset = (int16_t)v[5],
			     .flags = (uint8_t)v[6]};
	assert_true(vec_push(&rows, r));
}

static void supply_rows(void)
{
	static const struct row none = {.cfa = ROW_CFA_NONE};

	if (rows.len)
		qsort(rows.at, rows.len, sizeof(rows.at[0]), by_vaddr);
	for (size_t i = 0; i < rows.len; i++) {
		struct row_table *table =
			&supply_of(modules_by_instance(&now.modules, rows.at[i].instance))
				 ->rows;

		row_table_add(table, rows.at[i].vaddr, &rows.at[i].row);
		row_table_add(table, rows.at[i].vaddr + 1, &none);
	}
	vec_clear(&rows);
}

static const struct arch *arch_named(const char *name)
{
	static const struct arch *const all[] = {&arch_x86_64, &arch_aarch64, &arch_arm,
						  &arch_riscv64, &arch_mipsel};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!strcmp(all[i]->name, name))
			return all[i];
	fail_msg("no architecture %s", name);
	return NULL;
}

static void take_line(const char *line, const char *folder)
{
	unsigned number;
	uint64_t value;
	char name[32];

	if (sscanf(line, "arch %31s", name) == 1) {
		now.c.arch = arch_named(name);
		now.c.regs.len = now.c.arch->regs_len;
	} else if (sscanf(line, "slot %" SCNx64, &value) == 1)
		now.c.slot = value;
	else if (sscanf(line, "first_sp %" SCNx64, &value) == 1)
		now.c.first_sp = value;
	else if (sscanf(line, "reg %x %" SCNx64, &number, &value) == 2)
		regs_write(now.c.arch, &now.c.regs, (int)number, value);
	else if (!strncmp(line, "module ", 7))
		take_module(line, folder);
	else if (!strncmp(line, "row ", 4))
		take_row(line);
	else if (sscanf(line, "leaf %x %" SCNx64, &number, &value) == 2)
		now.c.leaf = frame_of(number, value) | FRAME_EXACT;
	else if (sscanf(line, "frame %x %" SCNx64, &number, &value) == 2)
		now.frames[now.count++] = frame_of(number, value) |
					  (strstr(line, " exact") ? FRAME_EXACT : 0) |
					  (strstr(line, " guess") ? FRAME_GUESS : 0);
	else if (sscanf(line, "end %x", &number) == 1)
		now.end = number;
	else if (!strncmp(line, "by ", 3))
		now.has_source = true;
	else
		fail_msg("%s: what is this: %s", folder, line);
}

/* ---- cases ------------------------------------------------------------------ */

static void load(const char *path)
{
	char folder[600], stack[600], line[1400];
	FILE *text = fopen(path, "re");

	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	snprintf(stack, sizeof(stack), "%.*s.stack", (int)(strlen(path) - 5), path);
	memset(&now, 0, sizeof(now));
	modules_init(&now.modules, module_unwind_forget);
	assert_non_null(text);
	while (fgets(line, sizeof(line), text) && now.count < FRAMES)
		take_line(line, folder);
	fclose(text);
	supply_rows();
	now.c.modules = &now.modules;
	now.c.externals = &now.externals;
	now.c.stack = now.stack;
	now.c.stack_len = file_read(stack, now.stack, sizeof(now.stack));
	assert_true(now.has_source);
}

static void unload(void)
{
	for (size_t i = 0; i < now.modules.list.len; i++)
		if (!now.modules.list.at[i]) /* not mapped then */
			now.modules.list.at[i] = calloc(1, sizeof(struct module));
		else if (now.modules.list.at[i]->source)
			recording_deinit((struct recording *)now.modules.list.at[i]->source);
	modules_deinit(&now.modules);
	externals_deinit(&now.externals);
}

static void print(const char *what, const frame_t *frames, size_t count)
{
	print_message("%s:", what);
	for (size_t i = 0; i < count; i++)
		print_message(" %x+%" PRIx64 "%s%s", frame_instance(frames[i]),
			      frame_offset(frames[i]), frames[i] & FRAME_EXACT ? "!" : "",
			      frames[i] & FRAME_GUESS ? "?" : "");
	print_message("\n");
}

static bool walks(const char *path)
{
	static frame_t frames[FRAMES];
	enum walk_end end;
	size_t count = 0;
	bool same;

	assert_int_equal(case_walk(&now.c, frames, FRAMES, &count, &end), 0);
	same = count == now.count && end == now.end &&
	       !memcmp(frames, now.frames, count * sizeof(frames[0]));
	if (!same) {
		print_message("%s: end %u for %u\n", path, end, now.end);
		print("   found", frames, count);
		print("expected", now.frames, now.count);
	}
	return same;
}

/* Twice: anew, and by what is remembered of the modules. */
static bool replay(const char *path)
{
	bool same;

	load(path);
	same = walks(path) && walks(path);
	unload();
	return same;
}

static void replay_all(const char *pattern, size_t fewest)
{
	glob_t found;
	unsigned wrong = 0;

	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= fewest);
	for (size_t i = 0; i < found.gl_pathc; i++)
		wrong += !replay(found.gl_pathv[i]);
	globfree(&found);
	vec_deinit(&rows);
	assert_int_equal(wrong, 0);
}

static void test_x86_64(void **state)
{
	(void)state;
	if (sizeof(void *) < 8)
		skip(); /* no file is so large that memory of 64 bits could lie in it */
	replay_all(CASES "/x86_64-*/*.case", 7);
}

static void test_arm64(void **state)
{
	(void)state;
	if (sizeof(void *) < 8)
		skip(); /* no file is so large that memory of 64 bits could lie in it */
	replay_all(CASES "/arm64-*/*.case", 21);
}

static void test_riscv64(void **state)
{
	(void)state;
	if (sizeof(void *) < 8)
		skip(); /* as above */
	replay_all(CASES "/riscv64-*/*.case", 32);
}

static void test_armhf(void **state)
{
	(void)state;
	replay_all(CASES "/armhf-*/*.case", 30);
}

static void test_armel(void **state)
{
	(void)state;
	replay_all(CASES "/armel-*/*.case", 12);
}

static void test_mipsel(void **state)
{
	(void)state;
	replay_all(CASES "/mipsel-*/*.case", 71);
}

/* Of a CPU that this machine traces none of, as its order of bytes is another. */
static void test_of_no_trap(void **state)
{
	const uint8_t stack[8] = {0x00, 0x40, 0x01, 0x00}; /* its return address */
	struct modules none;
	struct walk_case c = {.arch = &arch_mips, .modules = &none, .slot = 0x7fff0000,
			      .leaf = frame_of(1, 0x100) | FRAME_EXACT, .stack = stack,
			      .stack_len = sizeof(stack)};
	frame_t frames[2];
	enum walk_end end;
	size_t count;

	(void)state;
	if (arch_mips.trap)
		skip();
	modules_init(&none, module_unwind_forget);
	c.regs.len = c.arch->regs_len;
	assert_int_equal(case_walk(&c, frames, 2, &count, &end), 0);
	assert_int_equal(count, 2);
	assert_int_equal(frames[0], c.leaf);
	assert_int_equal(frame_offset(frames[1]), 0x400100);
	modules_deinit(&none);
}

/* A walk that goes wrong is noticed: with the first register lost that a frame needs. */
static void test_wrong_bytes(void **state)
{
	static frame_t frames[FRAMES];
	glob_t found;
	enum walk_end end;
	size_t count = 0;

	(void)state;
	assert_int_equal(glob(CASES "/armhf-t32-scan/*.case", 0, NULL, &found), 0);
	load(found.gl_pathv[0]);
	now.stack[0] ^= 4;
	assert_int_equal(case_walk(&now.c, frames, FRAMES, &count, &end), 0);
	assert_true(count != now.count ||
		    memcmp(frames, now.frames, count * sizeof(frames[0])));
	unload();
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_x86_64),	    cmocka_unit_test(test_arm64),
		cmocka_unit_test(test_riscv64),	    cmocka_unit_test(test_armhf),
		cmocka_unit_test(test_armel),	    cmocka_unit_test(test_mipsel),
		cmocka_unit_test(test_of_no_trap),  cmocka_unit_test(test_wrong_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
