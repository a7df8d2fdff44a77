/* What was found, in two orders, each searched by halving. */
#include "serve/file_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/order.h"

void file_table_segments(uint64_t hash, uint8_t key[FILE_KEY])
{
	memset(key, 0, FILE_KEY);
	for (int i = 0; i < 8; i++)
		key[i] = (uint8_t)(hash >> (8 * i));
}

/* Files with a build-id come before those without. */
static int compare_key(const struct indexed_file *file, const uint8_t *key, bool has_build_id)
{
	if ((file->build_id_len != 0) != has_build_id)
		return has_build_id ? 1 : -1;
	return memcmp(file->key, key, FILE_KEY);
}

static int by_key(const void *a, const void *b, void *arg)
{
	const struct indexed_file *files = arg, *x = &files[*(const uint32_t *)a],
				  *y = &files[*(const uint32_t *)b];
	int order = compare_key(x, y->key, y->build_id_len != 0);

	return order ? order : strcmp(x->path, y->path);
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct indexed_file *files = arg, *x = &files[*(const uint32_t *)a],
				  *y = &files[*(const uint32_t *)b];
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->path, y->path);
}

static bool sort(const struct indexed_files *files, struct file_order *order,
		 int (*compare)(const void *, const void *, void *))
{
	if (!vec_reserve(order, files->len))
		return false;
	for (uint32_t i = 0; i < files->len; i++)
		order->at[order->len++] = i;
	if (files->len)
		qsort_r(order->at, order->len, sizeof(*order->at), compare, files->at);
	return true;
}

bool file_table_finish(struct file_table *table)
{
	return sort(&table->files, &table->by_key, by_key) &&
	       sort(&table->files, &table->by_name, by_name);
}

void file_table_deinit(struct file_table *table)
{
	for (size_t i = 0; i < table->files.len; i++)
		free(table->files.at[i].path);
	vec_deinit(&table->files);
	vec_deinit(&table->by_key);
	vec_deinit(&table->by_name);
}

/* The run of files for which compare says 0. */
static const uint32_t *find(const struct file_table *table, const struct file_order *order,
			    int (*compare)(const struct indexed_file *, const void *),
			    const void *what, size_t *count)
{
	size_t end, low = order_count(order->len, i,
				      compare(&table->files.at[order->at[i]], what) < 0);

	for (end = low; end < order->len; end++)
		if (compare(&table->files.at[order->at[end]], what))
			break;
	*count = end - low;
	return order->at + low;
}

struct key {
	uint8_t bytes[FILE_KEY];
	bool build_id;
};

static int key_is(const struct indexed_file *file, const void *what)
{
	const struct key *key = what;

	return compare_key(file, key->bytes, key->build_id);
}

static int name_is(const struct indexed_file *file, const void *what)
{
	return strcmp(file->name, what);
}

const uint32_t *file_table_key(const struct file_table *table, const uint8_t *bytes,
			       uint8_t build_id_len, size_t *count)
{
	struct key key = {.build_id = build_id_len != 0};
	size_t len = build_id_len && build_id_len < FILE_KEY ? build_id_len : FILE_KEY;

	memcpy(key.bytes, bytes, len);
	return find(table, &table->by_key, key_is, &key, count);
}

const uint32_t *file_table_name(const struct file_table *table, const char *name, size_t *count)
{
	return find(table, &table->by_name, name_is, name, count);
}
