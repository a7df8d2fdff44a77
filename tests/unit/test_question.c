/*
 * Questions about a heap, and findings, as bytes: what is read is what was written; whatever is cut
 * or changed is refused, or keeps to what can be.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>

#include "heap/findings_bytes.h"
#include "heap/question.h"

static struct mapping mappings[] = {
	{.begin = 0x1000, .end = 0x3000, .read = true, .exec = true, .inode = 7, .path = "/bin/a"},
	{.begin = 0x3000, .end = 0x5000, .read = true, .write = true, .path = ""},
};
static struct question_module module_of_a = {
	.module = {.instance = 1, .id = {.path = "/bin/a"}, .begin = 0x1000, .end = 0x5000,
		   .bias = 0x1000},
	.has_file = true,
	.has_image = true,
};
static uint64_t regs[] = {1, UINT64_MAX, 3};
static uint8_t vectors[] = {9, 8, 7, 6, 5, 4, 3, 2};

static void written(struct fields *f)
{
	struct question_thread thread = {
		.thread = {.tid = 12, .sp = 0x4f00, .tp = 0x4fff, .in_syscall = true,
			   .regs = regs, .reg_count = 3, .extra = vectors,
			   .extra_len = sizeof(vectors)},
		.regs = regs,
		.extra = vectors,
		.name = "worker",
	};
	struct mapping_use use = {{0x1000, 0x3000}, 4096, 0};
	struct mapped_range mapped[] = {{0x8000, 0x9000, 3, 5}, {0x6000, 0x7000, 2, 4}};
	struct question q = {.kind = QUESTION_WHY, .machine = EM_X86_64, .elf_class = ELFCLASS64,
			     .context_count = 5, .blocks = 10, .paths = 3, .address = 0x3010,
			     .context = 2, .other = "python", .live_count = 4,
			     .confirmed = true, .confirmed_count = 6};

	q.maps.list.at = mappings;
	q.maps.list.len = ARRAY_SIZE(mappings);
	q.modules.at = &module_of_a;
	q.threads.at = &thread;
	q.uses.at = &use;
	q.modules.len = q.threads.len = q.uses.len = 1;
	q.mapped.at = mapped;
	q.mapped.len = 2;
	assert_true(question_write(f, &q));
}

static void test_question(void **state)
{
	struct fields f = {0};
	struct question q;
	struct err err;

	(void)state;
	written(&f);
	assert_int_equal(question_read(f.bytes.at, f.bytes.len, &q, &err), 0);
	assert_int_equal(q.kind, QUESTION_WHY);
	assert_int_equal(q.machine, EM_X86_64);
	assert_int_equal(q.address, 0x3010);
	assert_string_equal(q.other, "python");
	assert_true(q.confirmed && q.live_count == 4 && q.confirmed_count == 6);
	assert_int_equal(q.maps.list.len, 2);
	assert_true(q.maps.list.at[0].exec && !q.maps.list.at[0].write);
	assert_true(q.maps.list.at[1].write && !q.maps.list.at[1].shared);
	assert_string_equal(q.maps.list.at[0].path, "/bin/a");
	assert_int_equal(q.modules.at[0].module.bias, 0x1000);
	assert_true(q.modules.at[0].has_file && !q.modules.at[0].module.vdso);
	assert_int_equal(q.threads.at[0].thread.tid, 12);
	assert_string_equal(q.threads.at[0].name, "worker");
	assert_memory_equal(q.threads.at[0].thread.regs, regs, sizeof(regs));
	assert_memory_equal(q.threads.at[0].thread.extra, vectors, sizeof(vectors));
	assert_int_equal(q.uses.at[0].resident, 4096);
	assert_int_equal(q.mapped.at[1].context, 2);
	question_deinit(&q, true);
	fields_deinit(&f);
}

/* Cut at each byte, with one too many, and each byte changed: refused, or in order. */
static void test_damaged_question(void **state)
{
	static const uint8_t others[] = {0, 1, 0x7f, 0x80, 0xff};
	struct fields f = {0};
	struct question q;
	struct err err;

	(void)state;
	written(&f);
	for (size_t len = 0; len < f.bytes.len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, f.bytes.at, len);
		assert_int_equal(question_read(copy, len, &q, &err), -EINVAL);
		for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
			uint8_t before = f.bytes.at[len];

			f.bytes.at[len] = others[i];
			if (!question_read(f.bytes.at, f.bytes.len, &q, &err)) {
				for (size_t k = 1; k < q.maps.list.len; k++)
					assert_true(q.maps.list.at[k].begin >=
						    q.maps.list.at[k - 1].end);
				assert_in_range(q.kind, QUESTION_FINDINGS, QUESTION_HEAP);
				question_deinit(&q, true);
			}
			f.bytes.at[len] = before;
		}
		free(copy);
	}
	fields_number(&f, (uint8_t[]){0}, 1);
	assert_int_equal(question_read(f.bytes.at, f.bytes.len, &q, &err), -EINVAL);
	fields_deinit(&f);
}

/* All their words together are numbered in 32 bits. */
static void test_too_many_threads(void **state)
{
	enum { MANY = (1 << 17) + 1 };
	struct question q = {.kind = QUESTION_LOST};
	struct fields f = {0};
	struct err err;

	(void)state;
	q.threads.at = calloc(MANY, sizeof(*q.threads.at));
	assert_non_null(q.threads.at);
	for (q.threads.len = MANY; q.threads.len >= MANY - 1; q.threads.len--) {
		struct question read;
		int expected = q.threads.len == MANY ? -EINVAL : 0;

		vec_clear(&f.bytes);
		assert_true(question_write(&f, &q));
		assert_int_equal(question_read(f.bytes.at, f.bytes.len, &read, &err), expected);
		if (!expected)
			question_deinit(&read, true);
	}
	fields_deinit(&f);
	free(q.threads.at);
}

/* What could lead heap/leak/ astray. */
static void test_disorder(void **state)
{
	struct mapping before = mappings[1];
	struct question_module module = module_of_a;
	struct fields f = {0};
	struct question q;
	struct err err;

	(void)state;
	for (int i = 0; i < 3; i++) {
		f.bytes.len = 0;
		mappings[1] = before;
		module_of_a = module;
		if (i == 0)
			mappings[1].begin = 0x2fff;
		else if (i == 1)
			mappings[1].end = mappings[1].begin;
		else
			module_of_a.module.end = module_of_a.module.begin;
		written(&f);
		assert_int_equal(question_read(f.bytes.at, f.bytes.len, &q, &err), -EINVAL);
		assert_string_equal(err.text, "the description of the process is damaged");
	}
	mappings[1] = before;
	module_of_a = module;
	fields_deinit(&f);
}

/* ---- findings ------------------------------------------------------------------------ */

static struct findings_context contexts[4];

static void found(struct fields *f)
{
	struct finding list[] = {{.context = 2, .size = 24, .shape = LEAK_LIST, .example = 0x3010,
				  .through = 1, .sums = {.lost = {3, 72}}, .along = {4, 96}},
				 {.content = {LEAK_CLASS, 1, "3Foo"}, .size = 8}};
	struct findings_block block = {.block = {.addr = 0x3010, .size = 24, .class = LEAK_LOST,
						 .leader = LEAK_NONE, .context = 2, .asked = 20},
				       .perhaps = true,
				       .content = {LEAK_TEXT, 0, "GET /"}};
	struct leak_allocator allocator = {.name = "glibc", .version = "2.27-2.42", .read = true,
					   .used = {9, 900}};
	struct findings x = {.confirmed = true, .contexts = contexts, .context_count = 4,
			     .block_count = 7, .all = {.lost = {3, 72}, .held = {6, 828}},
			     .totals = {.scanned_bytes = 1234, .traced_only = true}};

	contexts[2] = (struct findings_context){.sums = {.lost = {3, 72}}, .finding = 1};
	contexts[3] = (struct findings_context){.sums = {.held = {6, 828}}, .held_by = (char *)"cache"};
	x.list.at = list;
	x.list.len = 2;
	x.blocks.at = &block;
	x.blocks.len = 1;
	x.allocators.at = &allocator;
	x.allocators.len = 1;
	assert_true(findings_write(f, &x));
}

static void test_findings(void **state)
{
	struct fields f = {0};
	struct findings *x;
	struct err err;

	(void)state;
	found(&f);
	assert_int_equal(findings_read(f.bytes.at, f.bytes.len, 4, &x, &err), 0);
	assert_true(x->confirmed && x->totals.traced_only);
	assert_int_equal(x->totals.scanned_bytes, 1234);
	assert_int_equal(x->block_count, 7);
	assert_int_equal(x->all.held.bytes, 828);
	assert_int_equal(x->list.at[0].along.bytes, 96);
	assert_int_equal(x->list.at[0].shape, LEAK_LIST);
	assert_string_equal(x->list.at[1].content.text, "3Foo");
	assert_true(x->blocks.at[0].perhaps);
	assert_int_equal(x->blocks.at[0].block.asked, 20);
	assert_string_equal(x->allocators.at[0].version, "2.27-2.42");
	assert_int_equal(x->contexts[2].finding, 1);
	assert_null(x->contexts[2].held_by);
	assert_string_equal(x->contexts[3].held_by, "cache");
	assert_int_equal(x->contexts[1].sums.held.blocks, 0);
	findings_destroy(x);
	/* of another number of call stacks */
	assert_int_equal(findings_read(f.bytes.at, f.bytes.len, 3, &x, &err), -EINVAL);
	fields_deinit(&f);
}

static void test_damaged_findings(void **state)
{
	static const uint8_t others[] = {0, 1, 0x7f, 0x80, 0xff};
	struct fields f = {0};
	struct findings *x;
	struct err err;

	(void)state;
	found(&f);
	for (size_t len = 0; len < f.bytes.len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, f.bytes.at, len);
		assert_int_equal(findings_read(copy, len, 4, &x, &err), -EINVAL);
		free(copy);
		for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
			uint8_t before = f.bytes.at[len];

			f.bytes.at[len] = others[i];
			if (!findings_read(f.bytes.at, f.bytes.len, 4, &x, &err)) {
				for (size_t k = 0; k < x->list.len; k++)
					assert_true(x->list.at[k].context < 4 &&
						    x->list.at[k].through < 4 &&
						    x->list.at[k].content.kind <= LEAK_UNKNOWN);
				for (size_t k = 0; k < x->blocks.len; k++)
					assert_true(x->blocks.at[k].block.class < LEAK_CLASSES);
				findings_destroy(x);
			}
			f.bytes.at[len] = before;
		}
	}
	fields_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_damaged_question),
		cmocka_unit_test(test_disorder),
		cmocka_unit_test(test_too_many_threads),
		cmocka_unit_test(test_findings),
		cmocka_unit_test(test_damaged_findings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
