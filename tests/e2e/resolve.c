/*
 * A client of memtrace-fs for the tests: prints what the resolver answers.
 *
 *     resolve SERVER PID PATH BUILDID|- [--debuginfod] [DEBUG_DIR]... < offsets
 *     resolve SERVER PID PATH BUILDID|- --symbols NAME...
 *     resolve SERVER PID PATH BUILDID|- --rows [DEBUG_DIR]... < offsets
 *
 * Offsets are hexadecimal, one a line.  Output, tab-separated:
 *
 *     source TEXT / remark TEXT
 *     at OFFSET
 *     frame FUNCTION FILE LINE inlined|real      ("?" and 0: unknown)
 *     value NAME VALUE
 *     row OFFSET CFA CFA_OFFSET RA RA_OFFSET FP FP_OFFSET FLAGS
 *     seconds CPU                                 of the server, in its whole life
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/vec.h"
#include "symbols/resolver.h"

static int fail(const struct err *err)
{
	fprintf(stderr, "resolve: %s\n", err->text);
	return 1;
}

/* CPU time of children that have ended. */
static double servers_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print_address(const struct resolver *r, uint64_t offset)
{
	const struct resolved *resolved = resolver_find(r, 1, offset);

	printf("at\t%" PRIx64 "\n", offset);
	for (size_t i = 0; resolved && i < resolved->count; i++) {
		const struct resolved_frame *frame = &resolved->frames[i];
		printf("frame\t%s\t%s\t%u\t%s\n", frame->function ? frame->function : "?",
		       frame->file ? frame->file : "?", frame->line,
		       frame->inlined ? "inlined" : "real");
	}
}

static int ask_symbols(struct resolver *r, const struct resolver_module *module,
		       const char *const *names, size_t count)
{
	uint64_t *values = calloc(count + 1, sizeof(*values));
	struct err err;
	int e = resolver_symbols(r, module, names, count, values, NULL, &err);

	for (size_t i = 0; !e && i < count; i++)
		printf("value\t%s\t%" PRIx64 "\n", names[i], values[i]);
	free(values);
	return e ? fail(&err) : 0;
}

struct offsets {
	VEC(uint64_t) list;
};

static struct offsets read_offsets(void)
{
	struct offsets offsets = {};
	uint64_t offset;

	while (scanf("%" SCNx64, &offset) == 1)
		if (!vec_push(&offsets.list, offset))
			abort();
	return offsets;
}

/* The row in force at each address: the last one that begins there or before. */
struct in_force {
	struct offsets offsets;
	struct row *rows;
};

static void take_row(void *arg, uint64_t vaddr, const struct row *row)
{
	struct in_force *f = arg;

	for (size_t i = 0; i < f->offsets.list.len; i++)
		if (vaddr <= f->offsets.list.at[i])
			f->rows[i] = *row;
}

static int ask_rows(struct resolver *r, const struct resolver_module *module)
{
	struct in_force f = {.offsets = read_offsets()};
	struct err err;
	int e;

	f.rows = calloc(f.offsets.list.len + 1, sizeof(*f.rows)); /* ROW_CFA_NONE */
	e = resolver_want_unwind(r, module, take_row, &f, &err);
	if (!e)
		e = resolver_wait(r, NULL, NULL, &err);
	for (size_t i = 0; i < f.offsets.list.len; i++)
		printf("row\t%" PRIx64 "\t%u\t%d\t%u\t%d\t%u\t%d\t%u\n", f.offsets.list.at[i],
		       f.rows[i].cfa, f.rows[i].cfa_offset, f.rows[i].ra, f.rows[i].ra_offset,
		       f.rows[i].fp, f.rows[i].fp_offset, f.rows[i].flags);
	free(f.rows);
	vec_deinit(&f.offsets.list);
	return e ? fail(&err) : 0;
}

static int ask_offsets(struct resolver *r, const struct resolver_module *module)
{
	struct offsets offsets = read_offsets();
	struct err err;
	int e = resolver_want(r, module, offsets.list.at, offsets.list.len, &err);

	if (!e)
		e = resolver_wait(r, NULL, NULL, &err);

	printf("source\t%s\n", resolver_source(r, 1) ? resolver_source(r, 1) : "not asked");
	if (resolver_remark(r, 1))
		printf("remark\t%s\n", resolver_remark(r, 1));
	for (size_t i = 0; i < offsets.list.len; i++)
		print_address(r, offsets.list.at[i]);
	vec_deinit(&offsets.list);
	return e ? fail(&err) : 0;
}

static void read_build_id(const char *text, uint8_t bytes[64], uint8_t *len)
{
	for (*len = 0; *len < 64 && sscanf(text, "%2hhx", &bytes[*len]) == 1; text += 2)
		++*len;
}

int main(int argc, char *argv[])
{
	const char *dirs[64] = {};
	struct resolver_options options = {.debug_dirs = dirs};
	struct resolver_module module = {.instance = 1};
	struct resolver *r;
	struct err err;
	size_t count = 0;
	int status, symbols = 0;
	bool rows = false;

	if (argc < 5)
		return 2;
	options.server = argv[1];
	module.pid = atoi(argv[2]);
	module.id.path = argv[3];
	read_build_id(argv[4], module.id.build_id, &module.id.build_id_len);
	for (int i = 5; i < argc && !symbols && count < 63; i++) {
		if (!strcmp(argv[i], "--symbols"))
			symbols = i + 1;
		else if (!strcmp(argv[i], "--rows"))
			rows = true;
		else if (!strcmp(argv[i], "--debuginfod"))
			options.debuginfod = true;
		else
			dirs[count++] = argv[i];
	}
	if (resolver_start(&options, &r, &err))
		return fail(&err);
	status = symbols ? ask_symbols(r, &module, (const char *const *)argv + symbols,
				       (size_t)(argc - symbols))
		 : rows	 ? ask_rows(r, &module)
			 : ask_offsets(r, &module);
	resolver_destroy(r);
	printf("seconds\t%.6f\n", servers_seconds());
	return status;
}
