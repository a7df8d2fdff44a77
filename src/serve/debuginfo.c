/*
 * One module's debug information, put together from up to four files:
 *
 *    main   the mapped file itself: DWARF if it is unstripped, .dynsym in any case
 *    debug  the separate debug file: DWARF, .symtab
 *    alt    what dwz moved out of debug
 *    mini   .gnu_debugdata of main: .symtab of a stripped Fedora file
 *
 * All share one address space, the file's virtual addresses.  DWARF answers first; where
 * it has no function (assembler, units without -g), the symbol tables do.
 */
#include "serve/debuginfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <elfutils/libdw.h>

#include "elf/fingerprint.h"
#include "serve/file_index.h"
#include "serve/functions.h"
#include "serve/packed.h"
#include "serve/rows.h"
#include "serve/split.h"
#include "serve/units.h"

enum { LARGE_BYTES = 32 << 20 }; /* of a file whose reading is worth a word */

struct debuginfo {
	struct search_for who; /* who it was opened for; its path is ours */

	struct elffile *main, *debug, *alt, *mini; /* NULL: not there */
	Dwarf *dwarf, *dwarf_alt;
	struct units *units;	     /* NULL: no DWARF */
	struct functions *functions; /* of all tables together */
	struct rows *rows[2];	     /* of main and debug, when first asked for; or NULL */
	bool rows_open;
	enum wire_names names;
	char source[1024];
	char remark[1024];
};

static bool has_dwarf(const struct elffile *file)
{
	return elffile_has(file, ".debug_info") || elffile_has(file, ".zdebug_info");
}

/* Adds a sentence to the remark. */
static void remark(struct debuginfo *info, const struct err *err)
{
	size_t len = strlen(info->remark);

	snprintf(info->remark + len, sizeof(info->remark) - len, "%s%s", len ? "; " : "",
		 err->text);
}

/* The debug file from a debuginfod server. */
static void find_afar(struct debuginfo *info, const struct search_for *who,
		      const struct debuginfo_options *options)
{
	struct err err = {};
	char *path = NULL;
	int fd;

	if (info->debug || !options->download || !who->id.build_id_len)
		return;
	fd = download_debug(options->download, who->id.build_id, who->id.build_id_len,
			    options->progress, options->progress_arg, &path, &err);
	if (fd < 0) {
		if (err.code != -ENOENT)
			remark(info, &err);
		return;
	}
	if (elffile_open_fd(fd, (struct files_where){}, path ? path : "", path ? path : "",
			    &info->debug, &err) == 0 &&
	    !elffile_has_build_id(info->debug, who->id.build_id, who->id.build_id_len, &err)) {
		elffile_close(info->debug);
		info->debug = NULL;
	}
	if (!info->debug)
		remark(info, &err);
	free(path);
}

/* A debug file, when the main file does not have it all itself. */
static void find_debug(struct debuginfo *info, const struct search_for *who,
		       const struct debuginfo_options *options)
{
	struct err err = {};

	if (info->main && has_dwarf(info->main))
		return;
	if (search_debug(&options->dirs, who, info->main, &info->debug, &err) == 0)
		return;
	if (err.code == -ESTALE)
		remark(info, &err);
}

/* Reading (and decompressing) a large file takes seconds: tells who waits for it. */
static void note_reading(const struct elffile *file, const struct debuginfo_options *options)
{
	struct stat st;
	char what[512];

	if (!options->progress || fstat(file->fd, &st) < 0 || st.st_size < LARGE_BYTES)
		return;
	snprintf(what, sizeof(what), "reading %s", file->path);
	options->progress(options->progress_arg, what, 0, (uint64_t)st.st_size);
}

/* What dwz moved out of `file`; without it names are missing, which the remark says. */
static void open_alt(struct debuginfo *info, const struct elffile *file,
		     const struct debuginfo_options *options)
{
	struct err err = {};
	Elf *elf;

	if (search_alt(&options->dirs, file, &info->alt, &err) == 0) {
		note_reading(info->alt, options);
		elf = packed_debug(info->alt, &err);
		info->dwarf_alt = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
	}
	if (info->dwarf_alt) {
		dwarf_setalt(info->dwarf, info->dwarf_alt);
		return;
	}
	if (info->alt && !err.code)
		err_set(&err, -EINVAL, "%s: %s", info->alt->path, dwarf_errmsg(-1));
	else if (err.code == -ENOENT)
		err_set(&err, -ENOENT, "%s: the file that dwz made is missing", file->path);
	remark(info, &err);
}

/* Opens the DWARF of `file`. */
static void open_dwarf(struct debuginfo *info, struct elffile *file,
		       const struct debuginfo_options *options)
{
	struct err err = {};
	struct err missing = {};
	struct splits *splits;
	const uint8_t *id;
	size_t len;
	Elf *elf;

	note_reading(file, options);
	elf = packed_debug(file, &err);
	info->dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
	if (!info->dwarf) {
		if (elf)
			err_set(&err, -EINVAL, "%s: %s", file->path, dwarf_errmsg(-1));
		remark(info, &err);
		return;
	}
	if (elffile_debugaltlink(file, &id, &len))
		open_alt(info, file, options);
	splits = splits_create(&options->dirs, file, info->dwarf);
	if (units_create(info->dwarf, splits, &info->units, &missing, &err) == 0)
		info->names = WIRE_NAMES_LINES;
	else
		remark(info, &err);
	if (missing.code)
		remark(info, &missing);
}

static int open_symbols(struct debuginfo *info, struct err *err)
{
	struct elffile *files[] = {info->debug, info->main, info->mini};
	int e = 0;

	info->functions = functions_create();
	if (!info->functions)
		return err_set(err, -ENOMEM, "no memory for symbols");
	if (info->main && !elffile_has(info->main, ".symtab"))
		if (elffile_open_minidebug(info->main, &info->mini, NULL) == 0)
			files[2] = info->mini;
	for (size_t i = 0; i < ARRAY_SIZE(files) && !e; i++)
		if (files[i])
			e = functions_add(info->functions, files[i], err);
	if (!info->names && functions_count(info->functions))
		info->names = WIRE_NAMES_SYMBOLS;
	return e;
}

/* Where the names come from, in words. */
static void note_source(struct debuginfo *info)
{
	const char *path = info->debug ? info->debug->path : info->main ? info->main->path : "";

	if (info->names == WIRE_NAMES_LINES)
		snprintf(info->source, sizeof(info->source), "%s", path);
	else if (info->names && (info->debug || elffile_has(info->main, ".symtab")))
		snprintf(info->source, sizeof(info->source), "%s (.symtab)", path);
	else if (info->mini)
		snprintf(info->source, sizeof(info->source), "%s", info->mini->path);
	else if (info->names)
		snprintf(info->source, sizeof(info->source), "%s (.dynsym)", path);
}

static int open_files(struct debuginfo *info, const struct search_for *who,
		      const struct debuginfo_options *options, struct err *err)
{
	struct err why = {};
	int e;

	if (options->dirs.index) {
		file_index_find(&options->dirs, who, &info->main, &info->debug, &why);
		if (why.code)
			remark(info, &why);
	} else {
		if (search_main(&options->dirs, who, &info->main, &why) && why.code != -ENOENT)
			remark(info, &why);
		find_debug(info, who, options);
	}
	if (!(info->main && has_dwarf(info->main)))
		find_afar(info, who, options);
	if (info->debug && has_dwarf(info->debug))
		open_dwarf(info, info->debug, options);
	else if (info->main && has_dwarf(info->main))
		open_dwarf(info, info->main, options);
	e = open_symbols(info, err);
	note_source(info);
	if (!e && !info->names && !*info->remark && why.code)
		remark(info, &why);
	return e;
}

int debuginfo_open(const struct search_for *who, const struct debuginfo_options *options,
		   struct debuginfo **ret, struct err *err)
{
	struct debuginfo *info = calloc(1, sizeof(*info));
	int e = -ENOMEM;

	if (info && module_id_copy(&info->who.id, &who->id)) {
		info->who.pid = who->pid;
		e = open_files(info, who, options, err);
	}
	if (e) {
		debuginfo_close(info);
		return err_set(err, e, "no memory for debug information");
	}
	*ret = info;
	return 0;
}

void debuginfo_close(struct debuginfo *info)
{
	if (!info)
		return;
	rows_destroy(info->rows[0]);
	rows_destroy(info->rows[1]);
	units_destroy(info->units);
	functions_destroy(info->functions);
	dwarf_end(info->dwarf);
	dwarf_end(info->dwarf_alt);
	elffile_close(info->mini);
	elffile_close(info->alt);
	elffile_close(info->debug);
	elffile_close(info->main);
	module_id_deinit(&info->who.id);
	free(info);
}

bool debuginfo_is_for(const struct debuginfo *info, const struct search_for *who)
{
	const struct module_id *ours = &info->who.id;
	/* A debug file without code is believed by the debuglink that the target's file has. */
	bool same_link = module_id_same_debuglink(ours, &who->id);

	if (info->who.pid != who->pid || !module_id_same_build(ours, &who->id) ||
	    !module_id_same_fingerprint(ours, &who->id))
		return false;
	/* By what identifies it, it is the same file wherever the clients have it. */
	if (!info->who.pid && info->names &&
	    (ours->build_id_len || (ours->fingerprint_len && same_link)))
		return true;
	return !strcmp(ours->path, who->id.path) && same_link;
}

static bool is_same_file(const struct elffile *one, const struct elffile *other)
{
	if (!one || !other)
		return one == other;
	return one->inode && one->device == other->device && one->inode == other->inode;
}

bool debuginfo_is_same(const struct debuginfo *one, const struct debuginfo *other)
{
	return (one->main || one->debug) && is_same_file(one->main, other->main) &&
	       is_same_file(one->debug, other->debug) && is_same_file(one->alt, other->alt) &&
	       !strcmp(one->remark, other->remark);
}

unsigned debuginfo_files(const struct debuginfo *info)
{
	return (info->main != NULL) + (info->debug != NULL) + (info->alt != NULL) +
	       (info->mini != NULL);
}

enum wire_names debuginfo_names(const struct debuginfo *info)
{
	return info->names;
}

const char *debuginfo_source(const struct debuginfo *info)
{
	return *info->source ? info->source : NULL;
}

const char *debuginfo_remark(const struct debuginfo *info)
{
	return *info->remark ? info->remark : NULL;
}

size_t debuginfo_frames(struct debuginfo *info, uint64_t vaddr, struct wire_frame *ret,
			size_t max)
{
	const struct function *function;
	const char *linkage = NULL;
	size_t count = 0;

	if (info->units)
		count = units_frames(info->units, vaddr, ret, max, &linkage);
	/* The DWARF has the function with the name its linker knows: nothing to add. */
	if (count && ret[count - 1].function && linkage)
		return count;
	function = functions_at(info->functions, vaddr);
	if (!function)
		return count;
	if (!count) {
		ret[count++] = (struct wire_frame){};
	} else if (ret[count - 1].function && strncmp(function->symbol, "_Z", 2) &&
		   strncmp(function->symbol, "_R", 2)) {
		return count; /* C: the names are the same, or the symbol is a .part or .cold */
	}
	ret[count - 1].function = functions_name(info->functions, function);
	return count;
}

bool debuginfo_symbol(struct debuginfo *info, const char *name, uint64_t *value, uint64_t *size)
{
	const struct function *function = functions_find(info->functions, name);

	if (!function)
		return false;
	*value = function->begin | function->thumb;
	*size = function->size;
	return true;
}

static void open_rows(struct debuginfo *info)
{
	const struct elffile *files[] = {info->main, info->debug};

	for (size_t i = 0; i < ARRAY_SIZE(files) && !info->rows_open; i++)
		if (files[i])
			err_ignore(rows_create(files[i], &info->rows[i], NULL));
	info->rows_open = true;
}

/* Of one file alone: a stripped one has part of what its debug file has, or all. */
static struct rows *rows_of(struct debuginfo *info)
{
	open_rows(info);
	return info->rows[1] ? info->rows[1] : info->rows[0];
}

void debuginfo_unwind(struct debuginfo *info, uint64_t begin, uint64_t end,
		      bool (*visit)(void *arg, uint64_t vaddr, const struct row *row),
		      void *arg)
{
	struct rows *rows = rows_of(info);

	if (rows)
		rows_for_each(rows, begin, end, visit, arg);
}

void debuginfo_rules(struct debuginfo *info, uint64_t begin, uint64_t end, size_t max,
		     struct cfi_bytes *ret)
{
	struct rows *rows = rows_of(info);

	if (rows)
		rows_copy(rows, begin, end, max, ret);
}
