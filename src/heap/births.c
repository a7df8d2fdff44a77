/*
 * Two passes over the list: who has blocks gets a row, then each block is counted in its own.
 */
#include "heap/births.h"

#include <errno.h>

#include "base/leb128.h"
#include "base/order.h"

/* The first that ends at or after it; or the one that has not ended. */
static size_t generation_of(const struct generations *g, uint32_t time)
{
	return order_count(g->count, i, g->at[i].end < time);
}

static uint32_t middle_of(const struct block_birth *birth)
{
	return birth->first + (birth->last - birth->first) / 2;
}

int births_create(const struct generations *g, const struct birth_list *blocks,
		  uint32_t context_count, struct births *ret, struct err *err)
{
	struct births b = {.context_count = context_count};

	b.row_of = calloc((size_t)context_count + 1, sizeof(*b.row_of));
	for (size_t i = 0; b.row_of && i < blocks->len; i++)
		if (blocks->at[i].context < context_count &&
		    !b.row_of[blocks->at[i].context])
			b.row_of[blocks->at[i].context] = ++b.row_count;
	b.rows = b.row_of ? calloc((size_t)b.row_count + 1, sizeof(*b.rows)) : NULL;
	if (!b.rows) {
		births_deinit(&b);
		return err_set(err, -ENOMEM, "out of memory for the ages of %zu blocks",
			       blocks->len);
	}
	for (size_t i = 0; i < blocks->len; i++)
		if (blocks->at[i].context < context_count)
			b.rows[b.row_of[blocks->at[i].context] - 1]
			      [generation_of(g, middle_of(&blocks->at[i]))]++;
	*ret = b;
	return 0;
}

int births_in_span(const struct birth_list *blocks, int64_t from, int64_t to,
		   uint32_t context_count, struct births_span **ret, struct err *err)
{
	struct births_span *spans = calloc((size_t)context_count + 1, sizeof(*spans));

	if (!spans)
		return err_set(err, -ENOMEM, "out of memory for the ages of %zu blocks",
			       blocks->len);
	for (size_t i = 0; i < blocks->len; i++) {
		struct births_span *span = spans;
		int64_t first = blocks->at[i].first, last = blocks->at[i].last;

		if (blocks->at[i].context >= context_count)
			continue;
		span += blocks->at[i].context;
		span->all++;
		if (first > from && (to == BIRTHS_EVER || last < to))
			span->sure++;
		else if (last >= from && (to == BIRTHS_EVER || first <= to))
			span->unsure++;
	}
	*ret = spans;
	return 0;
}

void births_deinit(struct births *births)
{
	free(births->row_of);
	free(births->rows);
	*births = (struct births){0};
}

const uint32_t *births_of(const struct births *births, uint32_t context)
{
	static const uint32_t none[BIRTHS_MAX];

	if (context >= births->context_count || !births->row_of[context])
		return none;
	return births->rows[births->row_of[context] - 1];
}

/* ---- as bytes ------------------------------------------------------------------------------ */

enum { MAX_ROW = (2 + BIRTHS_MAX) * LEB128_MAX };

static uint8_t *put_row(uint8_t *at, uint64_t step, const uint32_t *row)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < BIRTHS_MAX; i++)
		mask |= (uint64_t)(row[i] > 0) << i;
	at = leb128_put(leb128_put(at, step), mask);
	for (unsigned i = 0; i < BIRTHS_MAX; i++)
		if (row[i])
			at = leb128_put(at, row[i]);
	return at;
}

int births_encode(const struct births *births, uint8_t **bytes, size_t *len)
{
	VEC(uint8_t) list = {0};
	uint64_t last = 0;

	for (uint32_t id = 0; id < births->context_count; id++) {
		if (!births->row_of[id])
			continue;
		if (list.cap - list.len < MAX_ROW &&
		    !vec_reserve(&list, 2 * list.len + MAX_ROW)) {
			vec_deinit(&list);
			return -ENOMEM;
		}
		list.len = (size_t)(put_row(list.at + list.len, id + 1 - last,
					    births->rows[births->row_of[id] - 1]) -
				    list.at);
		last = (uint64_t)id + 1;
	}
	*bytes = list.at;
	*len = list.len;
	return 0;
}

static bool take_row(const uint8_t **at, const uint8_t *end, size_t generations, uint32_t *row)
{
	uint64_t mask, count;

	if (!leb128_take(at, end, &mask) || mask >> (generations + 1))
		return false;
	for (unsigned i = 0; i < BIRTHS_MAX; i++) {
		if (!(mask >> i & 1))
			continue;
		if (!leb128_take(at, end, &count) || count > UINT32_MAX)
			return false;
		row[i] = (uint32_t)count;
	}
	return true;
}

int births_decode(const uint8_t *bytes, size_t len, uint32_t context_count,
		  size_t generations, struct births *ret)
{
	/* (a row has two bytes at least) */
	struct births b = {.context_count = context_count};
	const uint8_t *at = bytes, *end = bytes + len;
	uint64_t next = 0, step;
	bool ok = true;

	b.row_of = calloc((size_t)context_count + 1, sizeof(*b.row_of));
	b.rows = calloc(len / 2 + 1, sizeof(*b.rows));
	while (b.row_of && b.rows && ok && at < end) {
		ok = leb128_take(&at, end, &step) && step && step <= context_count - next &&
		     at < end && take_row(&at, end, generations, b.rows[b.row_count]);
		next += ok ? step : 0;
		if (ok)
			b.row_of[next - 1] = ++b.row_count;
	}
	if (b.row_of && b.rows && ok) {
		*ret = b;
		return 0;
	}
	ok = b.row_of && b.rows;
	births_deinit(&b);
	return ok ? -EINVAL : -ENOMEM;
}
