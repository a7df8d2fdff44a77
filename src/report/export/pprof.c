/*
 * pprof: profile.proto of github.com/google/pprof, gzip'ed, for Go's pprof, speedscope,
 * Pyroscope, Parca, Perfetto.
 *
 *   sample   --> locations, leaf first     one per distinct frame
 *   location --> mapping, lines            the innermost inlined function first
 *   line     --> function, number          one per distinct name and file
 *   function, mapping --> strings
 *
 * Numbers of tables begin with 1, those of strings with 0, which is "".  A frame without a name
 * has a function, too (viewers drop frames that have none); that its module can still be
 * symbolised says has_functions.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/export/gzip.h"
#include "report/export/stacks.h"
#include "report/export/texts.h"
#include "report/export/viewers.h"
#include "report/utf8.h"

/* Protocol buffers: field numbers of profile.proto. */
enum {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE = 2,
	PROFILE_MAPPING = 3,
	PROFILE_LOCATION = 4,
	PROFILE_FUNCTION = 5,
	PROFILE_STRING = 6,
	PROFILE_DROP_FRAMES = 7,
	PROFILE_TIME = 9,
	PROFILE_DURATION = 10,
	PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD = 12,
	PROFILE_COMMENT = 13,
	PROFILE_DEFAULT_TYPE = 14,
};

/* What pprof is to leave out of its views, with what these call: the way into the allocator. */
static const char allocators[] =
	"(__GI_)?(__libc_)?(malloc|calloc|realloc|reallocarray|memalign|aligned_alloc|"
	"posix_memalign|valloc|pvalloc)|operator new.*|_Zn[wa].*";

VEC_TYPE(message, uint8_t);

struct pprof {
	struct exports exports;
	struct gzip gzip;
	struct texts strings, functions;
	uint32_t *function_of;	       /* by line */
	struct message message, inner; /* being made */
	struct texts cuts; /* what stands for missing frames: locations behind all others */
	bool no_memory;
};

/* ---- messages ------------------------------------------------------------------------ */

static void put_byte(struct pprof *p, struct message *m, uint8_t byte)
{
	if (!vec_push(m, byte))
		p->no_memory = true;
}

static void put_varint(struct pprof *p, struct message *m, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		put_byte(p, m, (uint8_t)(value | 0x80));
	put_byte(p, m, (uint8_t)value);
}

/* Field `number` of the message being made. */
static void put_number(struct pprof *p, unsigned number, uint64_t value)
{
	put_varint(p, &p->message, number << 3);
	put_varint(p, &p->message, value);
}

/* What is in `inner`, which is empty then. */
static void put_inner(struct pprof *p, unsigned number)
{
	put_varint(p, &p->message, number << 3 | 2);
	put_varint(p, &p->message, p->inner.len);
	for (size_t i = 0; i < p->inner.len; i++)
		put_byte(p, &p->message, p->inner.at[i]);
	vec_clear(&p->inner);
}

/* A field of the profile itself: bytes. */
static void write_field(struct pprof *p, unsigned number, const void *bytes, size_t len)
{
	uint8_t head[12], *at = head;
	uint64_t value = len;

	*at++ = (uint8_t)(number << 3 | 2);
	for (; value > 0x7f; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	gzip_put(&p->gzip, head, (size_t)(at - head));
	gzip_put(&p->gzip, bytes, len);
}

/* The message that was made. */
static void write_message(struct pprof *p, unsigned number)
{
	write_field(p, number, p->message.at, p->message.len);
	vec_clear(&p->message);
}

static void write_number(struct pprof *p, unsigned number, uint64_t value)
{
	put_number(p, number, value);
	gzip_put(&p->gzip, p->message.at, p->message.len);
	vec_clear(&p->message);
}

/* ---- strings and functions ------------------------------------------------------------ */

/* UTF-8, as protocol buffers want it: other bytes become U+FFFD, as in JSON. */
static uint32_t string(struct pprof *p, const char *text)
{
	VEC(char) valid = {};
	uint32_t number = 0, code;
	bool ok = true;

	for (size_t len; ok && *text; text += len ? len : 1) {
		const char *from = text;

		len = utf8_next(text, &code);
		if (!len)
			from = "\xef\xbf\xbd";
		for (size_t i = 0; ok && i < (len ? len : 3); i++)
			ok = vec_push(&valid, from[i]);
	}
	if (!ok || !texts_add(&p->strings, valid.len ? valid.at : "", valid.len, &number))
		p->no_memory = true;
	vec_deinit(&valid);
	return number;
}

static uint32_t function(struct pprof *p, const char *name, const char *system,
			 const char *file)
{
	const uint32_t key[3] = {string(p, name), string(p, system), string(p, file)};
	uint32_t number = 0;

	if (!texts_add(&p->functions, key, sizeof(key), &number))
		p->no_memory = true;
	return number + 1;
}

static void gather_functions(struct pprof *p)
{
	const struct frame_names *values = p->exports.values;

	for (size_t i = 0; i < values->frame_count; i++)
		for (uint32_t k = 0; k < values->frames[i].count; k++) {
			struct names_line line =
				names_line(p->exports.names, &values->frames[i], k);
			char *label = exports_label(&line);
			const char *symbol = line.name.symbol;

			if (label)
				p->function_of[values->frames[i].first + k] =
					function(p, label, symbol ? symbol : label,
						 line.name.file ? line.name.file : "");
			p->no_memory |= !label;
			free(label);
		}
}

/* ---- what it says --------------------------------------------------------------------- */

static void write_type(struct pprof *p, unsigned field, const char *type, const char *unit)
{
	put_number(p, 1, string(p, type));
	put_number(p, 2, string(p, unit));
	write_message(p, field);
}

/* In this order: viewers show the last one first. */
static void write_types(struct pprof *p)
{
	write_type(p, PROFILE_SAMPLE_TYPE, "alloc_objects", "count");
	write_type(p, PROFILE_SAMPLE_TYPE, "alloc_space", "bytes");
	write_type(p, PROFILE_SAMPLE_TYPE, "inuse_objects", "count");
	write_type(p, PROFILE_SAMPLE_TYPE, "inuse_space", "bytes");
}

static uint64_t location_of(struct pprof *p, frame_t frame)
{
	return (uint64_t)(exports_frame(&p->exports, frame) - p->exports.values->frames) + 1;
}

static uint64_t location_of_cut(struct pprof *p, const char *cut)
{
	uint32_t number = 0;

	if (!texts_add(&p->cuts, cut, strlen(cut), &number))
		p->no_memory = true;
	return p->exports.values->frame_count + 1 + number;
}

static bool write_sample(void *arg, const struct export_stack *stack)
{
	struct pprof *p = arg;

	for (size_t i = 0; i < stack->count; i++)
		put_varint(p, &p->inner, location_of(p, stack->frames[i]));
	if (stack->cut[0])
		put_varint(p, &p->inner, location_of_cut(p, stack->cut));
	put_inner(p, 1);
	put_varint(p, &p->inner, stack->counters.allocs);
	put_varint(p, &p->inner, stack->counters.allocated_bytes);
	put_varint(p, &p->inner, stack->blocks);
	put_varint(p, &p->inner, stack->bytes);
	put_inner(p, 2);
	write_message(p, PROFILE_SAMPLE);
	return !p->no_memory;
}

/* Those that are there first: the first one is the program, for viewers. */
static void write_mappings(struct pprof *p, bool mapped)
{
	const struct snapshot *s = p->exports.snapshot;

	for (size_t i = 0; i < s->module_count; i++) {
		const struct snapshot_module *m = &s->modules[i];
		bool named = !names_are_missing(p->exports.names, (uint32_t)i + 1);
		char id[MODULE_ID_HEX];

		if (m->mapped != mapped)
			continue;
		put_number(p, 1, i + 1);
		put_number(p, 2, m->begin);
		put_number(p, 3, m->end);
		put_number(p, 5, string(p, m->id.path ? m->id.path : ""));
		put_number(p, 6, string(p, report_build_id(m, id)));
		put_number(p, 7, named); /* has_functions; filenames, lines, inlined: */
		for (unsigned field = 8; field <= 10; field++)
			put_number(p, field, named);
		write_message(p, PROFILE_MAPPING);
	}
}

static void put_line(struct pprof *p, uint32_t function, uint32_t line)
{
	put_varint(p, &p->inner, 1 << 3);
	put_varint(p, &p->inner, function);
	put_varint(p, &p->inner, 2 << 3);
	put_varint(p, &p->inner, line);
	put_inner(p, 4);
}

static void write_locations(struct pprof *p)
{
	const struct frame_names *values = p->exports.values;
	const struct snapshot *s = p->exports.snapshot;

	for (size_t i = 0; i < values->frame_count; i++) {
		const struct named_frame *f = &values->frames[i];

		put_number(p, 1, i + 1);
		if (snapshot_module(s, frame_instance(f->frame)))
			put_number(p, 2, frame_instance(f->frame));
		put_number(p, 3, exports_pc(&p->exports, f->frame));
		for (uint32_t k = 0; k < f->count; k++)
			put_line(p, p->function_of[f->first + k],
				 values->lines[f->first + k].line);
		write_message(p, PROFILE_LOCATION);
	}
}

/* A location in no module, of a function of that name. */
static void write_cuts(struct pprof *p)
{
	for (uint32_t i = 0; i < p->cuts.at.len; i++) {
		size_t len;
		const char *bytes = texts_bytes(&p->cuts, i, &len);
		char name[40];

		snprintf(name, sizeof(name), "%.*s", (int)len, bytes);
		put_number(p, 1, p->exports.values->frame_count + 1 + i);
		put_line(p, function(p, name, name, ""), 0);
		write_message(p, PROFILE_LOCATION);
	}
}

static void write_functions(struct pprof *p)
{
	for (uint32_t i = 0; i < p->functions.at.len; i++) {
		uint32_t key[3];
		size_t len;

		memcpy(key, texts_bytes(&p->functions, i, &len), sizeof(key));
		put_number(p, 1, i + 1);
		for (unsigned k = 0; k < ARRAY_SIZE(key); k++)
			put_number(p, 2 + k, key[k]);
		write_message(p, PROFILE_FUNCTION);
	}
}

/* The command, in one comment. */
static uint32_t command(struct pprof *p)
{
	char *text = NULL;
	uint32_t number = 0;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (out) {
		fprintf(out, "memtrace %s: process %d:", p->exports.job->options->version,
			p->exports.snapshot->pid);
		for (char **arg = p->exports.snapshot->command; arg && *arg; arg++)
			fprintf(out, " %s", *arg);
	}
	if (!out || fclose(out) || !text)
		p->no_memory = true;
	else
		number = string(p, text);
	free(text);
	return number;
}

static void write_rest(struct pprof *p)
{
	const struct snapshot *s = p->exports.snapshot;
	const struct timespec *t = &s->taken;

	write_number(p, PROFILE_DROP_FRAMES, string(p, allocators));
	write_number(p, PROFILE_TIME, (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec);
	write_number(p, PROFILE_DURATION, (uint64_t)(report_seconds(s) * 1e9));
	write_type(p, PROFILE_PERIOD_TYPE, "space", "bytes");
	write_number(p, PROFILE_PERIOD, 1); /* nothing is sampled */
	write_number(p, PROFILE_COMMENT, command(p));
	write_number(p, PROFILE_DEFAULT_TYPE, string(p, "inuse_space"));
}

static void write_strings(struct pprof *p)
{
	for (uint32_t i = 0; i < p->strings.at.len; i++) {
		size_t len;
		const char *bytes = texts_bytes(&p->strings, i, &len);

		write_field(p, PROFILE_STRING, bytes, len);
	}
}

/* Tables behind what makes them: the order of fields is free. */
static int write_all(struct pprof *p, FILE *out, struct err *err)
{
	int failed;

	string(p, "");
	gather_functions(p);
	gzip_begin(&p->gzip, out);
	write_types(p);
	failed = p->no_memory ? exports_no_memory(err)
			      : exports_for_each(&p->exports, write_sample, p, out, err);
	if (failed)
		return failed;
	write_mappings(p, true);
	write_mappings(p, false);
	write_locations(p);
	write_cuts(p);
	write_functions(p);
	write_rest(p);
	write_strings(p);
	gzip_end(&p->gzip);
	return p->no_memory ? exports_no_memory(err) : report_check(out, err);
}

int pprof_write(struct report_job *job, FILE *out, struct err *err)
{
	struct pprof *p = calloc(1, sizeof(*p));
	int failed;

	if (!p)
		return exports_no_memory(err);
	failed = exports_begin(job, &p->exports, err);
	if (failed) {
		free(p);
		return failed;
	}
	p->function_of = calloc(p->exports.values->line_count + 1, sizeof(*p->function_of));
	failed = p->function_of ? write_all(p, out, err) : exports_no_memory(err);
	texts_deinit(&p->strings);
	texts_deinit(&p->functions);
	texts_deinit(&p->cuts);
	vec_deinit(&p->message);
	vec_deinit(&p->inner);
	free(p->function_of);
	exports_end(&p->exports);
	free(p);
	return failed;
}
