/* The resolver against servers that answer, are silent, die, lie or send rubbish. */
#include "symbols/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "symbols/wire.h"

/* ---- a server in a thread ----------------------------------------------------------- */

enum manner {
	GOOD,	       /* answers, function "fn_OFFSET", one message per 100 offsets */
	NO_WELCOME,    /* reads, says nothing */
	OLD_WELCOME,   /* another version */
	REFUSES,       /* an ERROR for a welcome */
	HANGS,	       /* silent after the welcome */
	DIES,	       /* half an answer, then gone */
	RUBBISH,       /* bytes that are no message */
	TOO_MUCH,      /* more answers than questions */
	WRONG_MODULE,  /* about another module */
	WRONG_REQUEST, /* to a question that was not asked */
	WRONG_KIND,    /* VALUES for a LOOKUP */
	TOO_FEW,       /* the last part is missing, nothing more to come */
	ERRORS,	       /* says that it can't */
	BUSY,	       /* only ever PROGRESS */
	FLOODS,	       /* the same, without a pause */
	TRICKLES,      /* parts of an answer, with nothing in them */
	FAT,	       /* a megabyte of names for an address */
	ENDLESS,       /* as many rows as an answer holds, whenever asked */
};

struct fake {
	int fd;
	enum manner manner;
	pthread_t thread;
	unsigned lookups, modules;
};

static bool put(struct fake *fake, struct wire_out *out)
{
	size_t sent = 0;
	bool whole = true;

	assert_false(out->bad);
	while (whole && sent < out->bytes.len) {
		ssize_t n = send(fake->fd, out->bytes.at + sent, out->bytes.len - sent,
				 MSG_NOSIGNAL);
		whole = n > 0;
		sent += whole ? (size_t)n : 0;
	}
	vec_clear(&out->bytes);
	return whole;
}

/* 64 frames, no two texts of which are the same. */
static void answer_fat(struct wire_answer *answer, uint32_t turn)
{
	enum { FRAMES = 64, LONG = 4000 };
	static char texts[2 * FRAMES][LONG + 1];
	struct wire_frame frames[FRAMES];

	for (int i = 0; i < 2 * FRAMES; i++) {
		memset(texts[i], 'x', LONG);
		snprintf(texts[i], 32, "%u-%d", turn, i);
		texts[i][strlen(texts[i])] = '-';
	}
	for (int i = 0; i < FRAMES; i++)
		frames[i] =
			(struct wire_frame){texts[2 * i], texts[2 * i + 1], 1, i < FRAMES - 1};
	wire_answer_frames(answer, frames, FRAMES);
}

static void answer_lookup(struct fake *fake, struct wire_out *out,
			  const struct wire_message *message)
{
	struct wire_numbers numbers;
	struct wire_answer answer;
	uint32_t request = message->request, handle, count;
	char name[64];

	assert_int_equal(wire_read_numbers(message, &numbers, NULL), 0);
	handle = numbers.handle + (fake->manner == WRONG_MODULE);
	count = numbers.count;
	fake->lookups++;
	request += 1000 * (fake->manner == WRONG_REQUEST);
	if (fake->manner == DIES || fake->manner == TOO_FEW)
		count /= 2;
	wire_answer_begin(&answer, out, request,
			  fake->manner == WRONG_KIND ? WIRE_VALUES : WIRE_FRAMES, handle);
	for (uint32_t i = 0; i < count && fake->manner == FAT; i++)
		answer_fat(&answer, i);
	for (uint32_t i = 0; i < count && fake->manner != FAT; i++) {
		uint64_t offset = wire_number(&numbers, i);
		struct wire_frame frames[2] = {{"inlined", "/src/a.h", 5, true},
					       {name, "/src/a.c", (uint32_t)offset, false}};
		if (fake->manner == WRONG_KIND) {
			wire_answer_value(&answer, offset, 0);
			continue;
		}
		snprintf(name, sizeof(name), "fn_%llu", (unsigned long long)offset);
		wire_answer_frames(&answer, frames + (offset % 2), 2 - offset % 2);
	}
	if (fake->manner == TOO_MUCH)
		wire_answer_frames(&answer, NULL, 0);
	wire_answer_end(&answer);
	if (fake->manner == DIES)
		out->bytes.at[6] = WIRE_MORE;
}

static void answer_symbols(struct wire_out *out, const struct wire_message *message)
{
	struct wire_names_list names;
	struct wire_answer answer;

	assert_int_equal(wire_read_symbols(message, &names, NULL), 0);
	wire_answer_begin(&answer, out, message->request, WIRE_VALUES, names.handle);
	for (uint32_t i = 0; i < names.count; i++)
		wire_answer_value(&answer, strlen(wire_next_text(&names.texts)), 1);
	wire_answer_end(&answer);
}

/* Full answers: there may always be more. */
static void answer_unwind(struct fake *fake, struct wire_out *out,
			  const struct wire_message *message)
{
	const struct row row = {.cfa = ROW_CFA_SP, .cfa_offset = 8};
	struct wire_answer answer;
	struct wire_range range;

	assert_int_equal(wire_read_range(message, &range, NULL), 0);
	fake->lookups++;
	wire_answer_begin(&answer, out, message->request, WIRE_UNWIND_TABLE, range.handle);
	for (uint32_t i = 0; i < WIRE_MAX_UNWIND; i++)
		wire_answer_unwind(&answer, range.begin, &row);
	wire_answer_end(&answer);
}

static void greet(struct fake *fake, struct wire_out *out, const struct wire_message *message)
{
	struct wire_welcome welcome = {.version = WIRE_VERSION, .program = "fake 1"};

	welcome.version += fake->manner == OLD_WELCOME;
	if (fake->manner == REFUSES)
		wire_write_error(out, message->request, WIRE_CODE_VERSION, "come back later");
	else if (fake->manner != NO_WELCOME)
		wire_write_welcome(out, message->request, &welcome);
}

/* Answers one message; false: the server is to end. */
static bool answer(struct fake *fake, struct wire_out *out, const struct wire_message *message)
{
	struct wire_module_info info = {.names = WIRE_NAMES_LINES, .source = "a fake"};
	struct wire_module module;

	if (message->type == WIRE_HELLO) {
		greet(fake, out, message);
		return true;
	}
	if (fake->manner == HANGS)
		return true;
	if (fake->manner == RUBBISH) {
		for (int i = 0; i < 500; i++)
			wire_write_error(out, 0, 0, "x");
		for (size_t i = 0; i < out->bytes.len; i++)
			out->bytes.at[i] = (uint8_t)(i * 7919 >> 4);
		return true;
	}
	if (fake->manner == ERRORS) {
		wire_write_error(out, message->request, WIRE_CODE_FILE, "the file is broken");
		return true;
	}
	while (fake->manner == BUSY || fake->manner == FLOODS) {
		wire_write_progress(out, message->request,
				    &(struct wire_progress){1, 2, "loading"});
		if (!put(fake, out))
			return false;
		if (fake->manner == BUSY)
			nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	if (message->type == WIRE_LOOKUP && fake->manner == TRICKLES) {
		struct wire_answer nothing;

		wire_answer_begin(&nothing, out, message->request, WIRE_FRAMES, 1);
		wire_answer_end(&nothing);
		out->bytes.at[6] = WIRE_MORE;
		return true;
	}
	if (message->type == WIRE_MODULE) {
		fake->modules++;
		assert_int_equal(wire_read_module(message, &module, NULL), 0);
		info.handle = module.handle;
		wire_write_module_info(out, message->request, &info);
	} else if (message->type == WIRE_LOOKUP) {
		answer_lookup(fake, out, message);
		if (fake->manner == DIES) {
			put(fake, out);
			return false;
		}
	} else if (message->type == WIRE_SYMBOLS) {
		answer_symbols(out, message);
	} else if (message->type == WIRE_UNWIND && fake->lookups == 100) {
		return false;
	} else if (message->type == WIRE_UNWIND) {
		answer_unwind(fake, out, message);
	}
	return true;
}

static void *fake_run(void *arg)
{
	struct fake *fake = arg;
	static const size_t room = 1 << 20;
	uint8_t *in = malloc(room);
	struct wire_out out = {};
	size_t len = 0;
	bool go_on = true;
	ssize_t got;

	while (go_on && (got = recv(fake->fd, in + len, room - len, 0)) > 0) {
		struct wire_message message;
		int64_t n;
		len += (size_t)got;
		while (go_on && (n = wire_read(in, len, WIRE_CLIENT, &message, NULL)) > 0) {
			go_on = answer(fake, &out, &message);
			memmove(in, in + n, len - (size_t)n);
			len -= (size_t)n;
			put(fake, &out);
		}
	}
	wire_out_deinit(&out);
	free(in);
	close(fake->fd);
	return NULL;
}

static int fake_start(struct fake *fake, enum manner manner, struct resolver **ret,
		      struct err *err)
{
	/* Short where it is to pass; yet a welcome has to come within it. */
	bool silent =
		manner == HANGS || manner == BUSY || manner == FLOODS || manner == NO_WELCOME;
	struct resolver_options options = {.timeout_ms = silent ? 1200 : 60000};
	int pair[2];

	*fake = (struct fake){.manner = manner};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fake->fd = pair[1];
	assert_int_equal(pthread_create(&fake->thread, NULL, fake_run, fake), 0);
	return resolver_connect(pair[0], &options, ret, err);
}

static void fake_end(struct fake *fake)
{
	pthread_join(fake->thread, NULL);
}

/* ---- tests ------------------------------------------------------------------------------ */

static const struct resolver_module one = {
	.instance = 1, .id = {.path = "/lib/one.so", .build_id = {1, 2}, .build_id_len = 2}};

static bool count_progress(void *arg, size_t done, size_t count)
{
	assert_true(done <= count);
	*(size_t *)arg = done;
	return true;
}

static int load(struct resolver *r, const struct resolver_module *module,
		const uint64_t *offsets, size_t count, resolver_progress_fn *progress,
		void *arg, struct err *err)
{
	int e = resolver_want(r, module, offsets, count, err);

	return e ? e : resolver_wait(r, progress, arg, err);
}

static void test_good(void **state)
{
	enum { COUNT = 6000 };
	static uint64_t offsets[COUNT + 1];
	const struct resolved *resolved;
	struct resolver *r;
	struct fake fake;
	struct err err;
	size_t done = 0;
	(void)state;

	assert_int_equal(fake_start(&fake, GOOD, &r, &err), 0);
	for (size_t i = 0; i < COUNT; i++)
		offsets[i] = i * 3;
	offsets[COUNT] = 0; /* asked twice, answered once */
	assert_null(resolver_find(r, 1, 0));
	assert_null(resolver_source(r, 1));
	assert_int_equal(load(r, &one, offsets, COUNT + 1, count_progress, &done, &err), 0);
	assert_int_equal(done, COUNT);
	assert_string_equal(resolver_source(r, 1), "a fake");
	assert_null(resolver_remark(r, 1));
	for (size_t i = 0; i < COUNT; i++) {
		char name[64];
		resolved = resolver_find(r, 1, offsets[i]);
		assert_non_null(resolved);
		assert_int_equal(resolved->count, 2 - offsets[i] % 2);
		snprintf(name, sizeof(name), "fn_%zu", i * 3);
		assert_string_equal(resolved->frames[resolved->count - 1].function, name);
		assert_int_equal(resolved->frames[resolved->count - 1].line, i * 3);
	}
	resolved = resolver_find(r, 1, 6);
	assert_string_equal(resolved->frames[0].function, "inlined");
	assert_true(resolved->frames[0].inlined);
	assert_false(resolved->frames[1].inlined);
	assert_null(resolver_find(r, 1, 1));
	assert_null(resolver_find(r, 2, 0));
	/* What is known is not asked again. */
	assert_int_equal(load(r, &one, offsets, COUNT, NULL, NULL, &err), 0);
	assert_true(resolver_is_alive(r, NULL));
	resolver_destroy(r);
	fake_end(&fake);
	assert_int_equal(fake.lookups, (COUNT + 511) / 512);
	assert_int_equal(fake.modules, 1);
}

static void test_many_modules(void **state)
{
	uint64_t offsets[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	struct resolver *r;
	struct fake fake;
	struct err err;
	(void)state;

	assert_int_equal(fake_start(&fake, GOOD, &r, &err), 0);
	for (uint32_t i = 0; i < 300; i++) {
		struct resolver_module module = {.instance = 3 * i, .id.path = "/lib/x"};
		assert_int_equal(resolver_want(r, &module, offsets, i % 11, &err), 0);
	}
	assert_int_equal(resolver_wait(r, NULL, NULL, &err), 0);
	for (uint32_t i = 0; i < 300; i++) {
		assert_string_equal(resolver_source(r, 3 * i), "a fake");
		for (uint32_t k = 0; k < 10; k++)
			assert_int_equal(resolver_find(r, 3 * i, offsets[k]) != NULL,
					 k < i % 11);
	}
	assert_int_equal(resolver_want(r,
				       &(struct resolver_module){.instance = WIRE_MAX_MODULES,
								 .id.path = "/x"},
				       offsets, 1, &err),
			 -ERANGE);
	resolver_destroy(r);
	fake_end(&fake);
}

static void test_symbols(void **state)
{
	static const char *names[3000];
	static uint64_t values[3000];
	struct resolver *r;
	struct fake fake;
	struct err err;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		names[i] = &"abcdefghij"[i % 10];
	assert_int_equal(fake_start(&fake, GOOD, &r, &err), 0);
	assert_int_equal(
		resolver_symbols(r, &one, names, ARRAY_SIZE(names), values, NULL, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(values[i], 10 - i % 10);
	resolver_destroy(r);
	fake_end(&fake);
}

/* Every way in which a server can fail while it is asked. */
static void test_failures(void **state)
{
	static const struct {
		enum manner manner;
		int code;
		const char *text;
	} cases[] = {
		{HANGS, -ETIMEDOUT, "memtrace-fs did not answer for 1.2 s"},
		{BUSY, -ETIMEDOUT, "memtrace-fs did not answer for 1.2 s"},
		{FLOODS, -ETIMEDOUT, "memtrace-fs did not answer for 1.2 s"},
		{TRICKLES, -EPROTO, "memtrace-fs sent a part of an answer with nothing in it"},
		{FAT, -EMSGSIZE, "memtrace-fs sends more than names"},
		{DIES, -EPIPE, "memtrace-fs has ended"},
		{RUBBISH, -EPROTO, "unknown message"},
		{TOO_MUCH, -EPROTO, "memtrace-fs answered what it was not asked"},
		{WRONG_MODULE, -EPROTO, "memtrace-fs answered what it was not asked"},
		{WRONG_REQUEST, -EPROTO, "memtrace-fs sent an answer to nothing"},
		{WRONG_KIND, -EPROTO, "memtrace-fs sent an answer to nothing"},
		{TOO_FEW, -EPROTO, "memtrace-fs answered 5 of 10 questions"},
	};
	uint64_t offsets[10] = {2, 4, 6, 8, 10, 12, 14, 16, 18, 20};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct resolver *r;
		struct fake fake;
		struct err err = {}, again = {};
		const char *why = NULL;
		assert_int_equal(fake_start(&fake, cases[i].manner, &r, &err), 0);
		assert_int_equal(load(r, &one, offsets, 10, NULL, NULL, &err), cases[i].code);
		assert_memory_equal(err.text, cases[i].text, strlen(cases[i].text));
		assert_false(resolver_is_alive(r, &why));
		assert_string_equal(why, err.text);
		/* What was learned until then stays. */
		for (size_t k = 0; k < 10 && cases[i].manner != FAT; k++)
			assert_int_equal(
				resolver_find(r, 1, offsets[k]) != NULL,
				(cases[i].manner == DIES || cases[i].manner == TOO_FEW) &&
					k < 5);
		assert_int_equal(load(r, &one, offsets, 10, NULL, NULL, &again), -ENOTCONN);
		assert_string_equal(again.text, why);
		resolver_destroy(r);
		fake_end(&fake);
	}
}

static void test_no_welcome(void **state)
{
	struct resolver *r = NULL;
	struct fake fake;
	struct err err;
	(void)state;

	assert_int_equal(fake_start(&fake, NO_WELCOME, &r, &err), -ETIMEDOUT);
	fake_end(&fake);
	assert_int_equal(fake_start(&fake, OLD_WELCOME, &r, &err), -EPROTO);
	assert_string_equal(err.text, "fake 1 speaks protocol version 2, this memtrace 1");
	fake_end(&fake);
	assert_int_equal(fake_start(&fake, REFUSES, &r, &err), -EPROTO);
	assert_string_equal(err.text, "memtrace-fs: come back later");
	fake_end(&fake);
	assert_null(r);
}

/* A module that can't be read is known to have no names; the connection stays. */
static void test_error_answers(void **state)
{
	uint64_t offsets[2] = {2, 4}, value = 7;
	const char *name = "malloc";
	struct resolver *r;
	struct fake fake;
	struct err err;
	(void)state;

	assert_int_equal(fake_start(&fake, ERRORS, &r, &err), 0);
	assert_int_equal(load(r, &one, offsets, 2, NULL, NULL, &err), 0);
	assert_int_equal(resolver_find(r, 1, 2)->count, 0);
	assert_string_equal(resolver_source(r, 1), "none");
	assert_string_equal(resolver_remark(r, 1), "the file is broken");
	assert_int_equal(resolver_symbols(r, &one, &name, 1, &value, NULL, &err), 0);
	assert_int_equal(value, 0);
	assert_true(resolver_is_alive(r, NULL));
	resolver_destroy(r);
	fake_end(&fake);
}

/* A program in the place of memtrace-fs that does what the shell script says. */
/* limit_ms: as much as a shell may need on a slow machine, but where it is to pass. */
enum { LONG_MS = 60000, SHORT_MS = 300 };

static int start_script(const char *script, unsigned limit_ms, struct err *err)
{
	char path[] = "/tmp/test_resolver.XXXXXX";
	struct resolver_options options = {.server = path, .timeout_ms = limit_ms};
	struct resolver *r = NULL;
	int fd = mkstemp(path), e;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, script, strlen(script)), strlen(script));
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	e = resolver_start(&options, &r, err);
	unlink(path);
	assert_null(r);
	/* No child is left behind. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return e;
}

static void test_bad_children(void **state)
{
	struct err err;
	(void)state;

	assert_int_equal(start_script("#!/bin/sh\nexit 3\n", LONG_MS, &err), -EPIPE);
	assert_string_equal(err.text, "memtrace-fs ended with status 3");
	assert_int_equal(start_script("#!/bin/sh\nkill -SEGV $$\n", LONG_MS, &err), -EPIPE);
	assert_string_equal(err.text, "memtrace-fs died: Segmentation fault");
	assert_int_equal(start_script("#!/bin/sh\nexec sleep 1000\n", SHORT_MS, &err),
			 -ETIMEDOUT);
	assert_string_equal(err.text, "memtrace-fs did not answer for 0.3 s");
	/* It has a process group of its own, default signals (glibc keeps its own two, 32
	 * and 33, ignored), and the pair. */
	assert_int_equal(
		start_script("#!/bin/sh\n"
			     "[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] || exit 10\n"
			     "grep -q 'SigBlk:.0000000000000000' /proc/self/status || exit 11\n"
			     "grep -q 'SigIgn:.0000000.80000000\\|SigIgn:.0000000000000000' "
			     "/proc/self/status || exit 12\n"
			     "[ -S /proc/$$/fd/3 ] || exit 13\n"
			     "exit 4\n",
			     LONG_MS, &err),
		-EPIPE);
	assert_string_equal(err.text, "memtrace-fs ended with status 4");
}

static void test_no_server(void **state)
{
	struct resolver_options options = {.server = "/nonexistent/memtrace-fs"};
	struct resolver *r = NULL;
	struct err err;
	(void)state;

	assert_int_equal(resolver_start(&options, &r, &err), -ENOENT);
	assert_string_equal(err.text,
			    "cannot start /nonexistent/memtrace-fs: No such file or directory");
	assert_null(r);
	resolver_destroy(NULL);
}

static void count_row(void *arg, uint64_t vaddr, const struct row *row)
{
	(void)vaddr;
	(void)row;
	++*(size_t *)arg;
}

/* Nobody keeps more than a million rows, so no more are asked for. */
static void test_rows_without_end(void **state)
{
	struct resolver *r;
	struct fake fake;
	struct err err;
	size_t rows = 0;
	(void)state;

	assert_int_equal(fake_start(&fake, ENDLESS, &r, &err), 0);
	assert_int_equal(resolver_want_unwind(r, &one, count_row, &rows, &err), 0);
	assert_int_equal(resolver_wait(r, NULL, NULL, &err), 0);
	assert_int_equal(rows, 1 << 20);
	assert_true(resolver_is_alive(r, NULL));
	resolver_destroy(r);
	fake_end(&fake);
	assert_int_equal(fake.lookups, (1 << 20) / WIRE_MAX_UNWIND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	      cmocka_unit_test(test_many_modules),
		cmocka_unit_test(test_failures),      cmocka_unit_test(test_no_welcome),
		cmocka_unit_test(test_error_answers), cmocka_unit_test(test_bad_children),
		cmocka_unit_test(test_symbols),	      cmocka_unit_test(test_no_server),
		cmocka_unit_test(test_rows_without_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
