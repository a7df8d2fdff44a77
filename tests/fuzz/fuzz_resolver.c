/*
 * The client of memtrace-fs, talking to a server that says anything: the input is all
 * that the server ever sends, ended by the end of the connection.  It is cut into packets
 * as the headers of its messages say, each of which is one recv() of the client's: so a
 * question is asked before the message behind it is read.
 *
 * What is held: every call comes back, and what the resolver hands out can be read.
 * The requests are always the same, so their numbers can be met: 1 HELLO, 2 MODULE,
 * 3 LOOKUP of three offsets, 4 MODULE, 5 SYMBOLS of two names, 6 UNWIND, 7 ROWS of three.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "symbols/resolver.h"
#include "symbols/wire.h"

static void touch_text(const char *text)
{
	if (text)
		fuzz_touch(text, strlen(text) + 1);
}

static void progress(void *arg, const char *text)
{
	(void)arg;
	touch_text(text);
}

static void touch_answers(const struct resolver *resolver, uint32_t instance,
			  const uint64_t *offsets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct resolved *found = resolver_find(resolver, instance, offsets[i]);

		for (size_t k = 0; found && k < found->count; k++) {
			touch_text(found->frames[k].function);
			touch_text(found->frames[k].file);
		}
	}
	touch_text(resolver_source(resolver, instance));
	touch_text(resolver_remark(resolver, instance));
}

/* Rows come in ascending order. */
static void on_row(void *arg, uint64_t vaddr, const struct row *row)
{
	uint64_t *last = arg;

	assert(vaddr >= *last);
	fuzz_touch(row, sizeof(*row));
	*last = vaddr;
}

static void on_rules(void *arg, const uint8_t *bytes, size_t len)
{
	(void)arg;
	fuzz_touch(bytes, len);
}

static void ask(struct resolver *resolver)
{
	const uint64_t offsets[] = {0x1000, 0x2000, 0x3000};
	const char *const names[] = {"malloc", "free"};
	struct resolver_module one = {
		.instance = 1,
		.id = {.path = "/lib/one.so", .build_id = {1, 2, 3, 4}, .build_id_len = 4}};
	struct resolver_module two = {.instance = 2, .id.path = "/lib/two.so"};
	uint64_t values[2], sizes[2], last = 0;
	struct err err = {0};
	const char *why = NULL;

	if (resolver_want(resolver, &one, offsets, 3, &err) ||
	    resolver_wait(resolver, NULL, NULL, &err))
		assert(err.text[0]);
	touch_answers(resolver, 1, offsets, 3);
	err_ignore(resolver_symbols(resolver, &two, names, 2, values, sizes, &err));
	err_ignore(resolver_want_rules(resolver, &one, on_rules, NULL, &err));
	err_ignore(resolver_want_unwind(resolver, &two, on_row, &last, &err));
	err_ignore(resolver_wait(resolver, NULL, NULL, &err));
	touch_answers(resolver, 2, offsets, 3);
	if (!resolver_is_alive(resolver, &why))
		touch_text(why);
}

/* False: the socket takes no more. */
static bool send_all(int fd, const uint8_t *data, size_t size)
{
	while (size) {
		struct cursor c = cursor_over(data, size);
		size_t len = (size_t)cursor_u32(&c) + WIRE_HEADER;

		len = len < size ? len : size;
		if (send(fd, data, len, MSG_DONTWAIT) != (ssize_t)len)
			return false;
		data += len;
		size -= len;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolver_options options = {.timeout_ms = 1000, .progress = progress};
	struct resolver *resolver;
	struct err err = {0};
	int ends[2];

	if (size > 65536 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
		return 0;
	if (send_all(ends[1], data, size) && !shutdown(ends[1], SHUT_WR)) {
		if (resolver_connect(ends[0], &options, &resolver, &err) == 0) {
			ask(resolver);
			resolver_destroy(resolver);
		} else {
			assert(err.text[0]);
		}
	} else {
		close(ends[0]);
	}
	close(ends[1]);
	return 0;
}
