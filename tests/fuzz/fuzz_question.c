/*
 * What memtrace and memtrace-fs say to each other of a look for leaks: the first byte chooses a
 * question about a heap, or findings.
 *
 * What is held: a refusal in words, or values in order, which written again read as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "heap/findings_bytes.h"
#include "heap/question.h"

enum { CONTEXTS = 16 };

static void question(const uint8_t *data, size_t size)
{
	struct fields again = {0}, third = {0};
	struct question q;
	struct err err = {0};

	if (question_read(data, size, &q, &err)) {
		assert(err.code < 0 && err.text[0]);
		return;
	}
	for (size_t i = 0; i < q.maps.list.len; i++)
		assert(q.maps.list.at[i].begin < q.maps.list.at[i].end &&
		       (!i || q.maps.list.at[i - 1].end <= q.maps.list.at[i].begin));
	for (size_t i = 0; i < q.threads.len; i++)
		assert(q.threads.at[i].thread.reg_count < 256 &&
		       strnlen(q.threads.at[i].name, 16) < 16);
	assert(question_write(&again, &q));
	question_deinit(&q, true);
	assert(!question_read(again.bytes.at, again.bytes.len, &q, &err));
	assert(question_write(&third, &q) && third.bytes.len == again.bytes.len &&
	       !memcmp(third.bytes.at, again.bytes.at, third.bytes.len));
	question_deinit(&q, true);
	fields_deinit(&again);
	fields_deinit(&third);
}

static void findings(const uint8_t *data, size_t size)
{
	struct fields again = {0};
	struct findings *x, *y;
	struct err err = {0};

	if (findings_read(data, size, CONTEXTS, &x, &err)) {
		assert(err.code < 0 && err.text[0]);
		return;
	}
	for (size_t i = 0; i < x->list.len; i++)
		assert(x->list.at[i].context < CONTEXTS && x->list.at[i].through < CONTEXTS);
	assert(findings_write(&again, x));
	assert(!findings_read(again.bytes.at, again.bytes.len, CONTEXTS, &y, &err));
	assert(y->list.len == x->list.len && y->blocks.len == x->blocks.len);
	findings_destroy(x);
	findings_destroy(y);
	fields_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && data[0] & 1)
		question(data + 1, size - 1);
	else if (size)
		findings(data + 1, size - 1);
	return 0;
}
