/* Snapshot files: what is written is read, and nothing that is damaged is believed. */
#include "report_case.h"

#include "heap/snapshot_file.h"
#include "heap/snapshot_layout.h"
#include "heap/verdicts.h"
#include "report/names.h"

static const struct report_options plain = {.count = 10, .depth = 3, .version = "0.1.0"};
static const struct report_options whole = {
	.format = REPORT_SNAPSHOT, .depth = 3, .version = "0.1.0"};

struct bytes {
	uint8_t *at;
	size_t len;
};

/* The heap as a file, with the names that the resolver has. */
static struct bytes written(struct resolver *resolver, const struct report_names *names)
{
	struct bytes bytes;
	struct err err;
	FILE *out = open_memstream((char **)&bytes.at, &bytes.len);

	assert_int_equal(report_write(heap, resolver, names, &whole, out, &err), 0);
	fclose(out);
	return bytes;
}

static struct snapshot_file *parsed(const struct bytes *bytes)
{
	struct snapshot_file *file;
	struct err err;
	int e = snapshot_file_parse(bytes->at, bytes->len, &file, &err);

	if (e)
		fail_msg("%s", err.text);
	return file;
}

static struct generations generations;
static struct course course = {.max_bytes = 4096};

/* Two generations, and as many samples; each context allocated half in the first, half behind. */
static void case_time(void)
{
	struct region_context half[8] = {{0}};
	struct birth_list blocks = {0};
	struct births births;
	struct err err;

	generations_clear(&generations, 3);
	course_clear(&course);
	for (uint32_t id = 0; id < heap->context_count; id++) {
		half[id].allocs = heap->contexts[id].allocs / 2;
		half[id].allocated_bytes = heap->contexts[id].allocated_bytes / 2;
		assert_true(vec_push(&blocks, ((struct block_birth){id, 7 + 90 * id, 7 + 90 * id})));
	}
	generations_add(&generations, half, heap->context_count, 103);
	generations_add(&generations, heap->contexts, heap->context_count, 203);
	for (int i = 0; i < 2; i++)
		course_add(&course, &(struct course_point){.ms = 5000 + i,
							   .allocs = 9 + i,
							   .frees = 4 + i,
							   .in_use = 70,
							   .resident = 4096,
							   .mapped = 8192,
							   .obtained = 6144,
							   .pss = 1024});
	assert_int_equal(births_create(&generations, &blocks, heap->context_count, &births, &err),
			 0);
	assert_int_equal(verdicts_create(heap, &generations, &births, &course,
					 &heap->verdicts, &err),
			 0);
	heap->obtained_bytes = 6144; /* of the last point */
	vec_deinit(&blocks);
}

static void expect_time(const struct snapshot *a, const struct snapshot_file *file)
{
	const struct verdicts *x = a->verdicts, *y = file->snapshot->verdicts;

	assert_int_equal(file->course.count, 2);
	assert_int_equal(file->course.points[1].ms, 1);
	assert_int_equal(file->course.points[1].allocs, 10);
	assert_int_equal(file->course.points[1].most_in_use, 70);
	assert_int_equal(file->course.points[1].resident, 4096);
	assert_int_equal(file->course.points[1].pss, 1024);
	assert_int_equal(file->course.points[1].mapped, 8192);
	assert_int_equal(file->course.points[1].obtained, 6144);
	assert_int_equal(file->generations.count, 2);
	assert_int_equal(file->generations.begin, 3);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(file->generations.at[i].end, generations.at[i].end);
		assert_int_equal(file->generations.at[i].len, generations.at[i].len);
		assert_memory_equal(file->generations.at[i].changes, generations.at[i].changes,
				    generations.at[i].len);
	}
	assert_int_equal(x->count, y->count);
	assert_int_equal(x->process.word, y->process.word);
	for (uint32_t id = 0; id < x->count; id++) {
		assert_memory_equal(births_of(&x->births, id), births_of(&y->births, id),
				    BIRTHS_MAX * sizeof(uint32_t));
		assert_int_equal(x->at[id].word, y->at[id].word);
		assert_int_equal(x->at[id].born, y->at[id].born);
		assert_int_equal(x->at[id].alive, y->at[id].alive);
	}
	assert_int_equal(births_of(&y->births, 2)[1], 1);
}

static struct marks marks;

/* Two, of when half of it was counted and when two contexts were all there was, and all. */
static void case_marks(void)
{
	struct region_context half[3] = {{0}};
	struct snapshot before = *heap;
	struct err err;
	bool dropped;

	marks_deinit(&marks);
	for (uint32_t id = 0; id < 3; id++) {
		half[id].allocs = heap->contexts[id].allocs / 2;
		half[id].allocated_bytes = heap->contexts[id].allocated_bytes / 2;
	}
	before.contexts = half;
	before.context_count = 3;
	before.ticks_now = 77;
	before.taken.tv_sec -= 5;
	assert_int_equal(marks_add(&marks, "a", &before, &dropped, &err), 0);
	assert_int_equal(marks_add(&marks, NULL, heap, &dropped, &err), 0);
	heap->marks = &marks;
}

static void expect_marks(const struct snapshot_file *file)
{
	assert_ptr_equal(file->snapshot->marks, &file->marks);
	assert_int_equal(file->marks.count, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct mark *a = &marks.at[i], *b = &file->marks.at[i];

		assert_string_equal(a->name, b->name);
		assert_int_equal(a->numbered, b->numbered);
		assert_int_equal(a->ticks, b->ticks);
		assert_int_equal(a->taken.tv_sec, b->taken.tv_sec);
		assert_int_equal(a->taken.tv_nsec, b->taken.tv_nsec);
		assert_int_equal(b->started.tv_sec, heap->started.tv_sec);
		assert_int_equal(a->context_count, b->context_count);
		assert_memory_equal(a->contexts, b->contexts,
				    a->context_count * sizeof(*a->contexts));
		assert_memory_equal(&a->total, &b->total, sizeof(a->total));
	}
}

static void case_more(void)
{
	case_demo();
	case_snapshot();
	heap->no_allocator = true;
	heap->contexts[1].last_time += 7;
	heap->totals.lost_events = 3;
	heap->totals.frees_of_unknown = 4;
	heap->totals.overflow_blocks = 5;
	heap->region_bytes = 6;
	heap->resident_bytes = 1ull << 40;
	heap->resident_at_start = 1ull << 20;
	heap->modules[1].deleted = true;
	module_id_set_fingerprint(&heap->modules[1].id, (const uint8_t *)"finger", 6);
	module_id_set_debuglink(&heap->modules[1].id, "libc.debug", 0x1020304);
	strcpy(heap->modules[1].why, "why");
	heap->maps_followed = true;
	heap->mappings = calloc(2, sizeof(*heap->mappings));
	heap->mapping_count = 2;
	heap->mappings[0] = (struct mapped_range){0x7f0000003000, 0x7f0000004000, 2, 5};
	heap->mappings[1] = (struct mapped_range){0x1000, 0x3000, 1, 6};
	heap->threads = calloc(2, sizeof(*heap->threads));
	heap->thread_count = 2;
	heap->threads[0] = (struct snapshot_thread){1, "first", "running", 7, 8};
	heap->threads[1] = (struct snapshot_thread){2, "fifteen letters", "sleeping", 9, 10};
	heap->missed = calloc(2, sizeof(*heap->missed));
	heap->missed_count = 2;
	heap->missed[0] = (struct snapshot_missed){strdup("/a"), strdup("f"), strdup("short")};
	heap->missed[1] = (struct snapshot_missed){strdup("/b"), NULL, strdup("unknown")};
	case_time();
	case_marks();
}

static void expect_module(const struct snapshot_module *a, const struct snapshot_module *b)
{
	assert_int_equal(a->instance, b->instance);
	assert_string_equal(a->id.path, b->id.path);
	assert_true(module_id_same_build(&a->id, &b->id));
	assert_true(module_id_same_fingerprint(&a->id, &b->id));
	assert_true(module_id_same_debuglink(&a->id, &b->id));
	assert_int_equal(a->begin, b->begin);
	assert_int_equal(a->end, b->end);
	assert_int_equal(a->bias, b->bias);
	assert_int_equal(a->mapped, b->mapped);
	assert_int_equal(a->deleted, b->deleted);
	assert_string_equal(a->unwind_from, b->unwind_from);
	assert_string_equal(a->why, b->why);
}

static void expect_process(const struct snapshot *a, const struct snapshot *b)
{
	assert_int_equal(a->pid, b->pid);
	assert_string_equal(a->command[0], b->command[0]);
	assert_string_equal(a->command[1], b->command[1]);
	assert_null(b->command[2]);
	assert_string_equal(a->engine, b->engine);
	assert_memory_equal(&a->taken, &b->taken, sizeof(a->taken));
	assert_memory_equal(&a->started, &b->started, sizeof(a->started));
	assert_int_equal(a->running, b->running);
	assert_int_equal(a->no_allocator, b->no_allocator);
	assert_int_equal(a->maps_followed, b->maps_followed);
	assert_int_equal(a->mapping_count, b->mapping_count);
	assert_memory_equal(a->mappings, b->mappings, a->mapping_count * sizeof(*a->mappings));
	assert_int_equal(a->ticks_now, b->ticks_now);
	assert_memory_equal(&a->totals, &b->totals, sizeof(a->totals));
	assert_int_equal(a->resident_bytes, b->resident_bytes);
	assert_int_equal(a->resident_at_start, b->resident_at_start);
	assert_int_equal(a->obtained_bytes, b->obtained_bytes);
	assert_int_equal(a->region_bytes, b->region_bytes);
	assert_int_equal(a->module_count, b->module_count);
	assert_int_equal(a->thread_count, b->thread_count);
	assert_memory_equal(a->threads, b->threads, a->thread_count * sizeof(*a->threads));
	assert_int_equal(a->missed_count, b->missed_count);
	assert_string_equal(a->missed[0].function, b->missed[0].function);
	assert_string_equal(a->missed[1].module, b->missed[1].module);
	assert_null(b->missed[1].function);
	assert_string_equal(a->missed[1].reason, b->missed[1].reason);
}

static void expect_stacks(const struct snapshot *a, const struct snapshot *b)
{
	assert_int_equal(a->node_count, b->node_count);
	for (uint32_t i = 0; i < a->node_count; i++) {
		assert_int_equal(a->nodes[i].frame, b->nodes[i].frame);
		assert_int_equal(a->nodes[i].parent, b->nodes[i].parent);
	}
	assert_int_equal(a->context_count, b->context_count);
	assert_memory_equal(a->contexts, b->contexts, a->context_count * sizeof(*a->contexts));
}

static void test_all_is_kept(void **state)
{
	struct snapshot_file *file;
	struct bytes bytes;

	(void)state;
	case_more();
	bytes = written(NULL, NULL);
	assert_true(snapshot_file_is(bytes.at, bytes.len));
	assert_false(snapshot_file_is(bytes.at, 7));
	file = parsed(&bytes);
	expect_process(heap, file->snapshot);
	expect_stacks(heap, file->snapshot);
	expect_time(heap, file);
	expect_marks(file);
	for (size_t i = 0; i < heap->module_count; i++)
		expect_module(&heap->modules[i], &file->snapshot->modules[i]);
	assert_string_equal(file->version, "0.1.0");
	assert_int_equal(file->depth, 3);
	snapshot_file_destroy(file);
	free(bytes.at);
}

static const char *symbol_of_plugin(void *arg, const struct snapshot_module *module,
				    uint64_t offset, uint64_t *base)
{
	(void)arg;
	*base = 0x1200;
	return module->instance == 3 && offset == 0x1233 ? "_ZN6sensor4pollEi" : NULL;
}

/* The report of a file is the report of the process: with names found later, and with those
 * that were known then. */
static void test_same_text(void **state)
{
	const struct report_names symbols = {.symbol = symbol_of_plugin};
	struct report_options verbose = plain, json = plain;
	const struct report_options *all[] = {&plain, &verbose, &json};
	struct snapshot *live;
	struct bytes bare, named;

	(void)state;
	verbose.verbose = true;
	json.format = REPORT_JSON;
	case_more();
	bare = written(NULL, NULL);
	named = written(&knowing, &symbols);
	live = heap;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct report_names known = {.symbol = symbol_of_plugin, .elsewhere = true};
		char *expected = case_report(&knowing, &symbols, all[i]);
		struct snapshot_file *file = parsed(&bare);

		heap = file->snapshot;
		expect_report(&knowing, &known, all[i], expected);
		snapshot_file_destroy(file);

		file = parsed(&named);
		heap = file->snapshot;
		known = (struct report_names){.known = &file->names, .elsewhere = true};
		if (all[i] == &verbose) /* (its list of modules says where names are from) */
			*strstr(expected, "MODULES") = '\0';
		if (all[i] == &verbose) {
			char *text = case_report(NULL, &known, all[i]);

			*strstr(text, "MODULES") = '\0';
			assert_string_equal(text, expected);
			free(text);
		} else {
			expect_report(NULL, &known, all[i], expected);
		}
		snapshot_file_destroy(file);
		heap = live;
		free(expected);
	}
	free(bare.at);
	free(named.at);
}

/* What debug files say comes before what the device knew; and what it knew, before nothing. */
static void test_which_name(void **state)
{
	const struct report_names symbols = {.symbol = symbol_of_plugin};
	struct snapshot_file *file;
	struct bytes bytes;
	struct snapshot *live;
	struct report_names known = {0};
	struct report_options options = plain;
	struct resolver silent = {0};
	char *text;

	(void)state;
	case_more();
	bytes = written(NULL, &symbols);
	file = parsed(&bytes);
	known.known = &file->names;
	live = heap;
	heap = file->snapshot;
	text = case_report(&knowing, &known, &plain);
	assert_non_null(strstr(text, "    multimalloc() in /src/demo.c:28\n"));
	assert_non_null(strstr(text, "    _ZN6sensor4pollEi() in plug\"in.so (unloaded) "
				     "(guessed)\n"));
	free(text);

	/* files that name nothing are not where names are from */
	file->names.sources[2] = "the device";
	silent.answers = knowing.answers;
	options.format = REPORT_JSON;
	text = case_report(&silent, &known, &options);
	assert_non_null(strstr(text, "\"symbols_from\": \"the device\""));
	free(text);
	heap = live;
	snapshot_file_destroy(file);
	free(bytes.at);
}

/* ---- what others write ----------------------------------------------------------------- */

static void seal(struct bytes *bytes)
{
	struct layout_crc table;
	uint32_t crc;

	layout_crc_init(&table);
	crc = layout_crc_add(&table, 0, bytes->at, bytes->len - LAYOUT_END_RECORD);
	for (int i = 0; i < 4; i++)
		bytes->at[bytes->len - LAYOUT_END_RECORD + (size_t)i] =
			(uint8_t)(crc >> (8 * i));
}

static void expect_refused(const struct bytes *bytes, int code, const char *why)
{
	struct snapshot_file *file;
	struct err err;

	assert_int_equal(snapshot_file_parse(bytes->at, bytes->len, &file, &err), code);
	assert_string_equal(err.text, why);
}

static void test_damaged(void **state)
{
	struct bytes bytes, cut;

	(void)state;
	case_more();
	bytes = written(&knowing, NULL);
	for (cut = bytes, cut.len = 0; cut.len < LAYOUT_MAGIC_BYTES; cut.len++)
		expect_refused(&cut, -EINVAL, "this is no snapshot of memtrace");
	for (; cut.len < bytes.len; cut.len++) {
		struct snapshot_file *file;

		/* (the last word is not of the checksum) */
		if (cut.len < bytes.len - LAYOUT_END_RECORD)
			expect_refused(&cut, -EINVAL, "the snapshot file is cut short");
		assert_int_equal(snapshot_file_parse(cut.at, cut.len, &file, NULL), -EINVAL);
	}
	bytes.at[LAYOUT_HEADER + LAYOUT_SECTION_HEADER + 2] ^= 1;
	expect_refused(&bytes, -EINVAL, "the snapshot file is damaged: its checksum is wrong");
	bytes.at[LAYOUT_HEADER + LAYOUT_SECTION_HEADER + 2] ^= 1;
	bytes.at[LAYOUT_MAGIC_BYTES] = 2;
	seal(&bytes);
	expect_refused(&bytes, -ENOTSUP,
		       "the snapshot is of version 2, from a later memtrace; 1 is known here");
	free(bytes.at);
}

/* Reads all of it, as a report does. */
static void use(struct snapshot_file *file)
{
	const struct report_names known = {.known = &file->names};
	struct report_options options = plain;
	struct snapshot *live = heap;

	heap = file->snapshot;
	free(case_report(NULL, &known, &options));
	options.format = REPORT_JSON;
	options.all = true;
	free(case_report(NULL, &known, &options));
	heap = live;
}

/* Any bit may be another one, and the checksum right: it is refused, or is sound. */
static void test_every_bit(void **state)
{
	size_t refused = 0, read = 0;
	struct bytes bytes;

	(void)state;
	case_more();
	bytes = written(&knowing, NULL);
	for (size_t i = 0; i < 8 * (bytes.len - LAYOUT_END_RECORD); i++) {
		struct snapshot_file *file;

		bytes.at[i / 8] ^= (uint8_t)(1 << i % 8);
		seal(&bytes);
		if (snapshot_file_parse(bytes.at, bytes.len, &file, NULL)) {
			refused++;
		} else {
			read++;
			use(file);
			snapshot_file_destroy(file);
		}
		bytes.at[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_true(refused > 1000 && read > 1000);
	free(bytes.at);
}

static size_t section_at(const struct bytes *bytes, uint32_t type)
{
	for (size_t at = LAYOUT_HEADER; at < bytes->len;) {
		uint32_t found, len;

		memcpy(&found, bytes->at + at, 4); /* (tests run on little-endian machines) */
		memcpy(&len, bytes->at + at + 8, 4);
		if (found == type)
			return at;
		at += LAYOUT_SECTION_HEADER + (len + 7) / 8 * 8;
	}
	fail_msg("no section %u", type);
	return 0;
}

/* The file with `len` bytes put in. */
static struct bytes with(const struct bytes *bytes, size_t at, const void *what, size_t len)
{
	struct bytes ret = {malloc(bytes->len + len), bytes->len + len};

	memcpy(ret.at, bytes->at, at);
	memcpy(ret.at + at, what, len);
	memcpy(ret.at + at + len, bytes->at + at, bytes->len - at);
	seal(&ret);
	return ret;
}

/* Each rule of doc/snapshot.md by itself: `len` bytes at an offset of a section are others. */
static void test_rules(void **state)
{
	static const struct {
		uint32_t section;
		long at; /* behind its header; < 0: from its end */
		uint64_t value;
		size_t len;
		const char *why;
	} rules[] = {
		{LAYOUT_TEXTS, 0, 'x', 1, "its texts have no end"},
		{LAYOUT_TEXTS, -1, 'x', 1, "its texts have no end"},
		{LAYOUT_PROCESS, 3, 0x80, 1, "what it says of the process contradicts itself"},
		{LAYOUT_PROCESS, 8, UINT64_MAX, 8,
		 "what it says of the process contradicts itself"},
		{LAYOUT_PROCESS, 16, 1ull << 40, 8,
		 "what it says of the process contradicts itself"},
		{LAYOUT_PROCESS, 24, 1000000000, 4,
		 "what it says of the process contradicts itself"},
		{LAYOUT_PROCESS, 72, 1000, 8, "what it says of the process contradicts itself"},
		{LAYOUT_ARGUMENTS, 0, 1 << 20, 4, "an argument"},
		{LAYOUT_MODULES, 28, 0, 4, "a module"},
		{LAYOUT_MODULES, 52, 65, 1, "a module"},
		{LAYOUT_MODULES, 53, 41, 1, "a module"},
		{LAYOUT_LINES, 8, 1 << 20, 4, "a name"},
		{LAYOUT_FRAMES, 0, 1ull << 48 | 0xffff, 8, "a frame"}, /* not ascending */
		{LAYOUT_FRAMES, -16, 4ull << 48, 8, "a frame"},	       /* module 4 of 3 */
		{LAYOUT_FRAMES, 12, 1000, 4, "a frame"},
		{LAYOUT_FRAMES, 8, UINT32_MAX, 4, "a frame"},
		{LAYOUT_NODES, 0, 1000, 4, "a call stack"},
		{LAYOUT_NODES, 4, LAYOUT_FIRST_NODE, 4, "a call stack"}, /* its own parent */
		{LAYOUT_NODES, 4, WALK_ENDS, 4, "a call stack"},
		{LAYOUT_CONTEXTS, 56 + 8, 1000, 8, "the counts of a call stack"},
		{LAYOUT_CONTEXTS, 56 + 24, 1000, 8, "the counts of a call stack"},
		{LAYOUT_CONTEXTS, 56 + 40, 1000, 4, "the counts of a call stack"},
		{LAYOUT_THREADS, 4, 1 << 20, 4, "a thread"},
		{LAYOUT_NOT_FOLLOWED, 0, 0, 4, "what is not followed"},
		{LAYOUT_HISTORY, LAYOUT_HISTORY_RECORD + 8, 8, 8, "its history"}, /* (before: 9) */
		{LAYOUT_HISTORY, LAYOUT_HISTORY_RECORD + 16, 11, 8, "its history"},
		{LAYOUT_HISTORY, 0, 2, 8, "its history"},
		{LAYOUT_HISTORY, LAYOUT_HISTORY_RECORD, 1ull << 63, 8, "its history"},
		{LAYOUT_GENERATIONS, 0, 103, 4, "its generations"},
		{LAYOUT_GENERATIONS, 16, 102, 4, "its generations"},
		{LAYOUT_GENERATIONS, 16 + 4, 1u << 30, 4, "its generations"},
		{LAYOUT_GENERATIONS, 8, 1000, 8, "its generations"},
		{LAYOUT_GENERATIONS, 8, 1, 8, "its generations"},
		{LAYOUT_CHANGES, 0, 0, 1, "its generations"},
		{LAYOUT_CHANGES, -1, 0xff, 1, "its generations"},
		{LAYOUT_BIRTHS, 0, 100, 1, "the ages of its blocks"},
		{LAYOUT_BIRTHS, 1, 8, 1, "the ages of its blocks"}, /* there are 2, and one more */
		{LAYOUT_BIRTHS, -1, 0xff, 1, "the ages of its blocks"},
		{LAYOUT_MARKS, 0, 0, 1, "its marks"},
		{LAYOUT_MARKS, 31, 'x', 1, "its marks"},
		{LAYOUT_MARKS, 52, 1000, 4, "its marks"},
		{LAYOUT_MARKS, 56, 1000, 8, "its marks"},
		{LAYOUT_MARKS, 64 + 52, 2, 4, "its marks"}, /* (before: 3) */
		{LAYOUT_MARK_CHANGES, 1, 100, 1, "its marks"},
		{LAYOUT_MARK_CHANGES, -1, 0xff, 1, "its marks"},
		{LAYOUT_THREADS, 0, 5, 4, NULL}, /* (this is none) */
	};
	struct bytes bytes;

	(void)state;
	case_more();
	bytes = written(&knowing, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		size_t at = section_at(&bytes, rules[i].section);
		uint64_t len = 0;
		char why[100];
		uint8_t saved[8], *place;

		memcpy(&len, bytes.at + at + 8, 8);
		place = bytes.at + at + LAYOUT_SECTION_HEADER +
			(rules[i].at < 0 ? (long)len + rules[i].at : rules[i].at);
		memcpy(saved, place, 8);
		memcpy(place, &rules[i].value, rules[i].len);
		seal(&bytes);
		snprintf(why, sizeof(why), "the snapshot file is damaged: %s",
			 rules[i].why ? rules[i].why : "");
		if (rules[i].why)
			expect_refused(&bytes, -EINVAL, why);
		else
			snapshot_file_destroy(parsed(&bytes));
		memcpy(place, saved, 8);
	}
	free(bytes.at);
}

/* A section that is there twice, or whose size is none. */
static void test_sections(void **state)
{
	static const uint8_t twice[16] = {LAYOUT_THREADS, 0, 0, 0, 32};
	static const uint8_t odd[24] = {77, 0, 0, 0, 5, 0, 0, 0, 8};
	static const uint8_t none[24] = {77, 0, 0, 0, 0, 0, 0, 0, 8};
	struct bytes bytes, other;

	(void)state;
	case_more();
	bytes = written(NULL, NULL);
	for (int i = 0; i < 3; i++) {
		other = i == 0	 ? with(&bytes, LAYOUT_HEADER, twice, sizeof(twice))
			: i == 1 ? with(&bytes, LAYOUT_HEADER, odd, sizeof(odd))
				 : with(&bytes, LAYOUT_HEADER, none, sizeof(none));
		expect_refused(&other, -EINVAL,
			       "the snapshot file is damaged: a section is none");
		free(other.at);
	}
	free(bytes.at);
}

/* A later memtrace's sections are passed over, and so is what it has added to a record. */
static void test_later(void **state)
{
	static const uint8_t section[24] = {77, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9};
	static const uint8_t more[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct bytes bytes, other;
	struct snapshot_file *file;
	size_t at;

	(void)state;
	case_more();
	bytes = written(NULL, NULL);
	other = with(&bytes, LAYOUT_HEADER, section, sizeof(section));
	file = parsed(&other);
	expect_stacks(heap, file->snapshot);
	snapshot_file_destroy(file);
	free(other.at);

	at = section_at(&bytes, LAYOUT_PROCESS);
	other = with(&bytes, at + LAYOUT_SECTION_HEADER + LAYOUT_PROCESS_RECORD, more,
		     sizeof(more));
	other.at[at + 4] = other.at[at + 8] = LAYOUT_PROCESS_RECORD + sizeof(more);
	seal(&other);
	file = parsed(&other);
	expect_process(heap, file->snapshot);
	snapshot_file_destroy(file);
	free(other.at);
	free(bytes.at);
}

/* An earlier one's record is shorter: what it lacks is 0. */
static void test_earlier(void **state)
{
	struct bytes bytes;
	struct snapshot_file *file;
	size_t at;

	(void)state;
	case_more();
	bytes = written(NULL, NULL);
	at = section_at(&bytes, LAYOUT_PROCESS);
	memmove(bytes.at + at + LAYOUT_SECTION_HEADER + LAYOUT_PROCESS_RECORD - 64,
		bytes.at + at + LAYOUT_SECTION_HEADER + LAYOUT_PROCESS_RECORD,
		bytes.len - at - LAYOUT_SECTION_HEADER - LAYOUT_PROCESS_RECORD);
	bytes.len -= 64;
	bytes.at[at + 4] = bytes.at[at + 8] = LAYOUT_PROCESS_RECORD - 64;
	seal(&bytes);
	file = parsed(&bytes);
	assert_int_equal(file->snapshot->resident_at_start, 0);
	assert_int_equal(file->snapshot->totals.live_blocks, 0);
	assert_int_equal(file->snapshot->totals.overflow_blocks, 5);
	expect_stacks(heap, file->snapshot);
	snapshot_file_destroy(file);
	free(bytes.at);
}

static void test_full_disk(void **state)
{
	struct err err;
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	case_more();
	assert_int_equal(report_write(heap, NULL, NULL, &whole, full, &err), -ENOSPC);
	assert_string_equal(err.text, "the snapshot can't be written: No space left on device");
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_is_kept, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_same_text, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_which_name, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_damaged, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_every_bit, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_rules, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_sections, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_later, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_earlier, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_full_disk, case_begin, case_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
