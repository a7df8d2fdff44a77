/*
 * What the first byte says: a snapshot file's magic, or a JSON document.  Names that are from
 * symbol tables, which the device could not demangle, are made readable.
 */
#include "report/saved.h"

#include <errno.h>
#include <stdlib.h>

#include "base/scope.h"

enum { MAX_FILE = 1 << 30 };

/* All of a file, malloc'ed. */
static int read_file(const char *path, FILE *in, uint8_t **ret, size_t *len, struct err *err)
{
	VEC(uint8_t) bytes = {};
	size_t n = 1;
	int e = 0;

	while (!e && n) {
		if (bytes.len > MAX_FILE)
			e = err_set(err, -EFBIG, "%s is too long", path);
		else if (!vec_reserve(&bytes, 2 * bytes.len + BUFSIZ))
			e = err_set(err, -ENOMEM, "no memory for %s", path);
		else
			n = fread(bytes.at + bytes.len, 1, bytes.cap - bytes.len, in);
		bytes.len += e ? 0 : n;
	}
	if (!e && ferror(in))
		e = err_sys(err, -errno, "%s", path);
	if (e) {
		vec_deinit(&bytes);
		return e;
	}
	*ret = bytes.at;
	*len = bytes.len;
	return 0;
}

static int compare_symbols(const void *a, const void *b)
{
	struct frame_line *const *x = a, *const *y = b;

	return (*x)->symbol < (*y)->symbol ? -1 : (*x)->symbol > (*y)->symbol;
}

/* The names that symbol tables gave, as people write them; each symbol is demangled once. */
static bool make_readable(struct saved *saved, saved_readable_fn *demangle)
{
	struct frame_names *names = saved->names;
	VEC(struct frame_line *) lines = {};
	bool ok = true;

	for (size_t i = 0; ok && i < names->line_count; i++)
		if (names->lines[i].symbol)
			ok = vec_push(&lines, &names->lines[i]);
	if (lines.len)
		qsort(lines.at, lines.len, sizeof(*lines.at), compare_symbols);
	for (size_t i = 0; ok && i < lines.len; i++) {
		bool again = i && lines.at[i]->symbol == lines.at[i - 1]->symbol;
		char *name = again ? NULL : demangle(lines.at[i]->symbol);

		if (again)
			lines.at[i]->function = lines.at[i - 1]->function;
		else if (name && vec_push(&saved->readable, name))
			lines.at[i]->function = name;
		else
			free(name);
	}
	vec_deinit(&lines);
	return ok;
}

int saved_is_json(const char *path, FILE *in, bool *ret, struct err *err)
{
	int c = getc(in);

	while (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		c = getc(in);
	ungetc(c, in);
	*ret = c == '{';
	if (c == 0x89 || c == '{')
		return 0;
	return err_set(err, -EINVAL,
		       "%s: neither a snapshot nor a JSON report of memtrace; names are not "
		       "put into text (memtrace --format=snapshot)",
		       path);
}

static int read_json(FILE *in, struct saved *ret, struct err *err)
{
	int e = decode_read(in, &ret->decoded, err);

	if (e)
		return e;
	ret->snapshot = ret->decoded.snapshot;
	ret->names = &ret->decoded.names;
	ret->version = ret->decoded.version;
	ret->left_out = ret->decoded.left_out;
	return 0;
}

static int read_snapshot(const char *path, FILE *in, struct saved *ret, struct err *err)
{
	scope_free uint8_t *bytes = NULL;
	struct err cause;
	size_t len;
	int e = read_file(path, in, &bytes, &len, err);

	if (e)
		return e;
	e = snapshot_file_parse(bytes, len, &ret->file, &cause);
	if (e)
		return err_set(err, e, "%s: %s", path, cause.text);
	ret->snapshot = ret->file->snapshot;
	ret->names = &ret->file->names;
	ret->version = ret->file->version;
	ret->depth = ret->file->depth;
	return 0;
}

int saved_read(const char *path, FILE *in, saved_readable_fn *demangle, struct saved *ret,
	       struct err *err)
{
	int e;

	*ret = (struct saved){0};
	e = saved_is_json(path, in, &ret->is_json, err);
	if (!e)
		e = ret->is_json ? read_json(in, ret, err) : read_snapshot(path, in, ret, err);
	if (!e && demangle && !make_readable(ret, demangle)) {
		saved_deinit(ret);
		e = err_set(err, -ENOMEM, "no memory for names");
	}
	return e;
}

void saved_deinit(struct saved *saved)
{
	if (saved->file)
		snapshot_file_destroy(saved->file);
	else if (saved->snapshot)
		decoded_deinit(&saved->decoded);
	for (size_t i = 0; i < saved->readable.len; i++)
		free(saved->readable.at[i]);
	vec_deinit(&saved->readable);
	*saved = (struct saved){0};
}

int saved_open(const char *path, saved_readable_fn *demangle, struct saved *ret, struct err *err)
{
	FILE *in = fopen(path, "re");
	int e = in ? saved_read(path, in, demangle, ret, err) : err_sys(err, -errno, "%s", path);

	if (in)
		fclose(in);
	else
		*ret = (struct saved){0};
	return e;
}
