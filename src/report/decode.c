/*
 * A report is a list of lines; some of them are frames.  Those are gathered to a snapshot
 * of stacks of one frame each, which names.c can ask about, and are then written anew:
 *
 *     lines --decode_json--> frames --names--> text in place of the lines
 */
#include "report/decode.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/order.h"
#include "report/decode_parts.h"
#include "report/named.h"
#include "report/utf8.h"

enum { MAX_REPORT = 1 << 30 };

/* ---- reading ------------------------------------------------------------------------- */

/* All of it: another program may have put it into one line. */
static int read_json(struct decode *decode, FILE *in, struct err *err)
{
	VEC(char) text = {};
	size_t n = 1;
	int e = 0;

	while (!e && n) {
		if (text.len > MAX_REPORT)
			e = err_set(err, -EINVAL, "the report is too long");
		else if (!vec_reserve(&text, 2 * text.len + BUFSIZ))
			e = err_set(err, -ENOMEM, "no memory for the report");
		else
			n = fread(text.at + text.len, 1, text.cap - text.len - 1, in);
		text.len += e ? 0 : n;
	}
	if (!e && ferror(in))
		e = err_sys(err, -errno, "the report can't be read");
	if (!e) {
		text.at[text.len] = '\0';
		e = decode_json(decode, text.at, err);
	}
	vec_deinit(&text);
	return e;
}

static int read_report(struct decode *decode, FILE *in, struct err *err)
{
	int e = read_json(decode, in, err);

	if (!e && decode->version > REPORT_JSON_VERSION)
		e = err_set(
			err, -EINVAL,
			"the report is of version %u, from a later memtrace; %u is known here",
			decode->version, REPORT_JSON_VERSION);
	if (!e && !decode->modules.len)
		e = err_set(err, -EINVAL,
			    "no report of memtrace on one process: it says nothing of modules "
			    "(of one on several, take one: jq '.processes[0]')");
	return e;
}

static void decode_deinit(struct decode *decode)
{
	for (size_t i = 0; i < decode->lines.len; i++) {
		free(decode->lines.at[i].text);
		free(decode->lines.at[i].function);
	}
	for (size_t i = 0; i < decode->modules.len; i++)
		module_id_deinit(&decode->modules.at[i].id);
	vec_deinit(&decode->lines);
	vec_deinit(&decode->modules);
}

/* ---- asking ---------------------------------------------------------------------------- */

/* A snapshot in which every frame is a stack of its own. */
struct stacks {
	struct snapshot snapshot;
	VEC(struct region_node) nodes;
	VEC(struct region_context) contexts;
	VEC(uint32_t) ids;
};

static bool stacks_add(struct stacks *stacks, frame_t frame)
{
	struct region_node node = {.frame = frame, .parent = WALK_ROOT};
	struct region_context context = {.node = (uint32_t)stacks->nodes.len};

	return vec_push(&stacks->nodes, node) &&
	       vec_push(&stacks->ids, (uint32_t)stacks->contexts.len) &&
	       vec_push(&stacks->contexts, context);
}

static bool stacks_init(struct stacks *stacks, const struct decode *decode)
{
	bool ok = true;

	for (int i = 0; i < WALK_ENDS; i++) { /* the places of the ends of stacks */
		struct region_node none = {0};
		ok = ok && vec_push(&stacks->nodes, none);
	}
	for (size_t i = 0; ok && i < decode->lines.len; i++)
		if (decode_is_frame(&decode->lines.at[i]))
			ok = stacks_add(stacks, decode->lines.at[i].frame);
	stacks->snapshot.nodes = stacks->nodes.at;
	stacks->snapshot.node_count = (uint32_t)stacks->nodes.len;
	stacks->snapshot.contexts = stacks->contexts.at;
	stacks->snapshot.context_count = (uint32_t)stacks->contexts.len;
	stacks->snapshot.modules = decode->modules.at;
	stacks->snapshot.module_count = decode->modules.len;
	return ok;
}

static void stacks_deinit(struct stacks *stacks)
{
	vec_deinit(&stacks->nodes);
	vec_deinit(&stacks->contexts);
	vec_deinit(&stacks->ids);
}

/* The dynamic symbols that the report has already. */
struct known {
	uint32_t instance;
	uint64_t offset;
	const char *function;
};

VEC_TYPE(known_list, struct known);

static int compare_known(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return order_u64(x->instance, y->instance) ?: order_u64(x->offset, y->offset);
}

static const char *symbol(void *arg, const struct snapshot_module *module, uint64_t offset,
			  uint64_t *base)
{
	const struct known_list *list = arg;
	const struct known key = {module->instance, offset, NULL}, *found;

	*base = 0;
	found = list->len ? bsearch(&key, list->at, list->len, sizeof(key), compare_known)
			  : NULL;
	return found ? found->function : NULL;
}

static void gather_known(const struct decode *decode, struct known_list *ret)
{
	for (size_t i = 0; i < decode->lines.len; i++) {
		const struct decode_line *line = &decode->lines.at[i];
		struct known known = {frame_instance(line->frame),
				      frame_lookup_offset(line->frame), line->function};

		if (decode_is_frame(line) && line->function)
			(void)vec_push(ret, known);
	}
	if (ret->len)
		qsort(ret->at, ret->len, sizeof(*ret->at), compare_known);
}

static void make_readable(struct decode *decode, char *(*readable)(const char *symbol))
{
	for (size_t i = 0; i < decode->lines.len; i++) {
		struct decode_line *line = &decode->lines.at[i];
		char *name = line->function ? readable(line->function) : NULL;

		if (!name)
			continue;
		free(line->function);
		line->function = name;
	}
}

/* ---- writing --------------------------------------------------------------------------- */

/* What is copied may be anybody's: it commands no terminal. */
static void put_plain(FILE *out, const char *text)
{
	utf8_print(out, text);
	putc('\n', out);
}

static void put_frame(FILE *out, const struct decode_line *line, const struct named *named)
{
	const struct named_frame *found = names_find(named->names, line->frame);

	for (uint32_t i = 0; found && i < found->count; i++) {
		size_t len;
		const char *text = rendered_text(named->text, found->first + i, 1, &len);

		fputs(i ? ",\n" : "", out);
		fwrite(text, 1, len, out);
	}
	fprintf(out, "%s\n", line->text + line->end);
}

/* What is behind the value at text: a string, or a word (null, a number).  NULL: it is
 * neither. */
static const char *skip_value(const char *text)
{
	if (*text == '[' || *text == '{')
		return NULL;
	if (*text != '"')
		return text + strcspn(text, ",}");
	for (text++; *text && *text != '"';)
		text += *text == '\\' && text[1] ? 2 : 1;
	return *text ? text + 1 : NULL;
}

static void put_shared(FILE *out, const struct decode_line *line, const struct named *named,
		       const struct report_options *options)
{
	const struct named_frame *found = names_find(named->names, line->frame);

	if (found)
		json_frame(out, named->names, found, options);
	fprintf(out, "%s\n", line->text + line->end);
}

static void put_module(FILE *out, const struct decode_line *line, struct resolver *resolver)
{
	static const char key[] = "\"symbols_from\": ";
	const char *source = resolver_source(resolver, line->instance);
	const char *at = strstr(line->text, key);
	const char *behind = at ? skip_value(at + sizeof(key) - 1) : NULL;

	if (!source || !behind) {
		fprintf(out, "%s\n", line->text);
		return;
	}
	at += sizeof(key) - 1;
	fprintf(out, "%.*s", (int)(at - line->text), line->text);
	json_string(out, source);
	fprintf(out, "%s\n", behind);
}

static void put_all(FILE *out, const struct decode *decode, const struct named *named,
		    const struct report_options *options, struct resolver *resolver)
{
	for (size_t i = 0; i < decode->lines.len; i++) {
		const struct decode_line *line = &decode->lines.at[i];

		if (line->kind == DECODE_PLAIN)
			put_plain(out, line->text);
		else if (line->kind == DECODE_MODULE)
			put_module(out, line, resolver);
		else if (line->kind == DECODE_FRAME)
			put_frame(out, line, named);
		else if (line->kind == DECODE_SHARED)
			put_shared(out, line, named, options);
	}
}

static int write_named(struct decode *decode, struct resolver *resolver, FILE *out,
		       struct err *err)
{
	static const struct report_options options;
	struct stacks stacks = {};
	struct known_list known = {};
	const struct report_names symbols = {.symbol = symbol, .arg = &known};
	struct named named;
	int e = -ENOMEM;

	gather_known(decode, &known);
	if (stacks_init(&stacks, decode)) {
		struct report_job job = {.snapshot = &stacks.snapshot,
					 .resolver = resolver,
					 .symbols = &symbols,
					 .options = &options,
					 .ids = stacks.ids.at,
					 .shown = stacks.ids.len};

		progress_init(&job.progress, &options);
		e = named_create(&job, json_frame_whole, &named, err);
	} else {
		err_set(err, e, "no memory for the report");
	}
	if (!e) {
		put_all(out, decode, &named, &options, resolver);
		named_destroy(&named);
		if (fflush(out))
			e = report_check(out, err);
	}
	vec_deinit(&known);
	stacks_deinit(&stacks);
	return e;
}

int decode_report(FILE *in, struct resolver *resolver, void (*remark)(const char *text),
		  char *(*readable)(const char *symbol), FILE *out, struct err *err)
{
	struct decode decode = {};
	const char *why = NULL;
	int e = read_report(&decode, in, err);

	if (!e && readable)
		make_readable(&decode, readable);
	if (!e)
		e = write_named(&decode, resolver, out, err);
	for (uint32_t i = 1; !e && remark && i <= decode.modules.len; i++)
		if (resolver_remark(resolver, i))
			remark(resolver_remark(resolver, i));
	if (!e && !resolver_is_alive(resolver, &why))
		e = err_set(err, -EPIPE, "names are incomplete: %s", why);
	decode_deinit(&decode);
	return e;
}

int decode_read(FILE *in, struct decoded *ret, struct err *err)
{
	struct decode decode = {};
	int e = read_report(&decode, in, err);

	if (!e)
		e = decode_values(&decode, ret, err);
	decode_deinit(&decode);
	return e;
}
