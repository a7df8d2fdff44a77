/*
 * Reading a snapshot file: bytes of anybody's.
 *
 * Sections are found first, in any order, each at most once; those of unknown types are passed
 * over.  A record may be longer than ours (a later memtrace's: its rest is passed over) or
 * shorter (an earlier one's: what it lacks is 0).  Then each is read into its place, and every
 * reference is checked there: texts end with a NUL, parents come before their children,
 * contexts point to nodes, frames to modules, lines are where they are said to be, nothing was
 * freed that was not allocated.  Memory is bounded by the file's size: no count is believed
 * that its section does not have the bytes for.
 */
#include "heap/snapshot_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "heap/snapshot_layout.h"

struct section {
	const uint8_t *at; /* NULL: not there */
	size_t record, count;
};

struct reader {
	struct section sections[LAYOUT_SECTIONS];
	struct snapshot_file *file;
	frame_t *frames; /* by number */
	struct err *err;
	bool no_memory;
};

static int broken(struct reader *r, const char *what)
{
	return r->no_memory
		       ? err_set(r->err, -ENOMEM, "no memory for the snapshot")
		       : err_set(r->err, -EINVAL, "the snapshot file is damaged: %s", what);
}

static void *allocate(struct reader *r, size_t count, size_t size)
{
	void *memory = calloc(count + 1, size);

	r->no_memory |= !memory;
	return memory;
}

/* ---- finding sections ---------------------------------------------------------------- */

bool snapshot_file_is(const uint8_t *bytes, size_t len)
{
	return len >= LAYOUT_MAGIC_BYTES && !memcmp(bytes, LAYOUT_MAGIC, LAYOUT_MAGIC_BYTES);
}

static int read_header(struct cursor *c, struct err *err)
{
	const uint8_t *magic = cursor_bytes(c, LAYOUT_MAGIC_BYTES);
	uint32_t version = cursor_u32(c);

	cursor_u32(c);
	if (!magic || !snapshot_file_is(magic, LAYOUT_MAGIC_BYTES))
		return err_set(err, -EINVAL, "this is no snapshot of memtrace");
	if (c->bad)
		return err_set(err, -EINVAL, "the snapshot file is cut short");
	if (version != LAYOUT_VERSION)
		return err_set(err, -ENOTSUP,
			       "the snapshot is of version %u, from a later memtrace; %u is "
			       "known here",
			       version, LAYOUT_VERSION);
	return 0;
}

static bool check_crc(const uint8_t *bytes, size_t len, uint32_t crc)
{
	struct layout_crc table;

	layout_crc_init(&table);
	return layout_crc_add(&table, 0, bytes, len) == crc;
}

static bool note_section(struct reader *r, uint32_t type, uint32_t record, uint64_t len,
			 const uint8_t *at)
{
	if (!record || record > LAYOUT_MAX_RECORD || len % record || len / record > UINT32_MAX)
		return false;
	if (type >= LAYOUT_SECTIONS)
		return true; /* of a later memtrace */
	if (r->sections[type].at)
		return false;
	r->sections[type] = (struct section){at, record, (size_t)(len / record)};
	return true;
}

/* Up to the end, and its checksum. */
static int find_sections(struct reader *r, const uint8_t *bytes, size_t len)
{
	struct cursor c = cursor_over(bytes, len);
	int e = read_header(&c, r->err);
	uint32_t type = UINT32_MAX;

	while (!e && type != LAYOUT_END) {
		uint32_t record;
		uint64_t size;
		const uint8_t *at = c.at;

		type = cursor_u32(&c);
		record = cursor_u32(&c);
		size = cursor_u64(&c);
		if (c.bad || size > cursor_left(&c))
			return err_set(r->err, -EINVAL, "the snapshot file is cut short");
		if (type == LAYOUT_END) {
			struct cursor end = cursor_over(c.at, (size_t)size);
			uint32_t crc = cursor_u32(&end);

			if (end.bad || !check_crc(bytes, (size_t)(c.at - bytes), crc))
				return broken(r, "its checksum is wrong");
			break;
		}
		if (!note_section(r, type, record, size, c.at))
			return broken(r, "a section is none");
		c.at += size;
		cursor_bytes(&c, (8 - (size_t)(c.at - at) % 8) % 8);
	}
	return e;
}

/* Record i, as long as ours: `bytes` holds it. */
static struct cursor record_of(const struct section *section, size_t i, uint8_t *bytes,
			       size_t len)
{
	size_t n = section->record < len ? section->record : len;

	memset(bytes, 0, len);
	memcpy(bytes, section->at + i * section->record, n);
	return cursor_over(bytes, len);
}

/* ---- texts --------------------------------------------------------------------------- */

static int read_texts(struct reader *r)
{
	const struct section *s = &r->sections[LAYOUT_TEXTS];

	if (!s->at || s->record != 1 || !s->count || s->at[0] || s->at[s->count - 1])
		return broken(r, "its texts have no end");
	r->file->texts = allocate(r, s->count, 1);
	if (!r->file->texts)
		return broken(r, "");
	memcpy(r->file->texts, s->at, s->count);
	return 0;
}

/* The text a reference means; NULL for none, which an empty one is.  *bad: it means nothing. */
static const char *text_of(const struct reader *r, struct cursor *c, bool *bad)
{
	uint32_t offset = cursor_u32(c);

	if (offset >= r->sections[LAYOUT_TEXTS].count) {
		*bad = true;
		return NULL;
	}
	return r->file->texts[offset] ? r->file->texts + offset : NULL;
}

/* A copy of its own; NULL for none. */
static char *copy_of(struct reader *r, struct cursor *c, bool *bad)
{
	const char *text = text_of(r, c, bad);
	char *copy = text ? strdup(text) : NULL;

	r->no_memory |= text && !copy;
	return copy;
}

/* Into an array, cut where it is too long. */
static void fill_text(const struct reader *r, struct cursor *c, char *to, size_t size,
		      bool *bad)
{
	const char *text = text_of(r, c, bad);
	size_t len = text ? strlen(text) : 0;

	len = len < size ? len : size - 1;
	if (len)
		memcpy(to, text, len);
	to[len] = '\0';
}

/* ---- the process --------------------------------------------------------------------- */

static bool are_sound(uint64_t allocs, uint64_t frees, uint64_t allocated, uint64_t freed)
{
	return frees <= allocs && freed <= allocated;
}

static bool read_totals(struct cursor *c, struct region_totals *t)
{
	t->allocs = cursor_u64(c);
	t->frees = cursor_u64(c);
	t->allocated_bytes = cursor_u64(c);
	t->freed_bytes = cursor_u64(c);
	t->peak_bytes = cursor_u64(c);
	t->frees_of_unknown = cursor_u64(c);
	t->lost_events = cursor_u64(c);
	t->overflow_blocks = cursor_u64(c);
	t->live_blocks = cursor_u64(c);
	return are_sound(t->allocs, t->frees, t->allocated_bytes, t->freed_bytes);
}

/* Times that time_t holds, wherever this is read, and that a date can be made of. */
static bool read_times(struct cursor *c, struct snapshot *s)
{
	int64_t taken = (int64_t)cursor_u64(c), started = (int64_t)cursor_u64(c);
	uint32_t taken_ns = cursor_u32(c), started_ns = cursor_u32(c);
	const int64_t most = sizeof(time_t) == 4 ? INT32_MAX : 253402300799; /* year 9999 */

	if (taken < 0 || taken > most || started < 0 || started > most ||
	    taken_ns >= 1000000000 || started_ns >= 1000000000)
		return false;
	s->taken.tv_sec = (time_t)taken;
	s->taken.tv_nsec = (long)taken_ns;
	s->started.tv_sec = (time_t)started;
	s->started.tv_nsec = (long)started_ns;
	return true;
}

static int read_process(struct reader *r)
{
	const struct section *section = &r->sections[LAYOUT_PROCESS];
	struct snapshot *s = r->file->snapshot;
	uint8_t bytes[LAYOUT_PROCESS_RECORD];
	struct cursor c;
	uint32_t flags;
	bool bad = false;

	if (!section->at || section->count != 1)
		return broken(r, "it says nothing of the process");
	c = record_of(section, 0, bytes, sizeof(bytes));
	s->pid = (int)cursor_u32(&c);
	flags = cursor_u32(&c);
	s->running = flags & LAYOUT_PROCESS_RUNNING;
	s->no_allocator = flags & LAYOUT_PROCESS_NO_ALLOCATOR;
	bad |= s->pid < 0 || !read_times(&c, s);
	s->ticks_now = cursor_u32(&c);
	r->file->depth = cursor_u32(&c);
	s->resident_bytes = cursor_u64(&c);
	s->region_bytes = cursor_u64(&c);
	fill_text(r, &c, s->engine, sizeof(s->engine), &bad);
	r->file->version = text_of(r, &c, &bad);
	bad |= !read_totals(&c, &s->totals);
	s->resident_at_start = cursor_u64(&c);
	return bad ? broken(r, "what it says of the process contradicts itself") : 0;
}

static int read_arguments(struct reader *r)
{
	const struct section *section = &r->sections[LAYOUT_ARGUMENTS];
	struct snapshot *s = r->file->snapshot;
	bool bad = false;

	s->command = allocate(r, section->count, sizeof(*s->command));
	for (size_t i = 0; s->command && i < section->count && !bad && !r->no_memory; i++) {
		uint8_t bytes[LAYOUT_ARGUMENT_RECORD];
		struct cursor c = record_of(section, i, bytes, sizeof(bytes));

		s->command[i] = copy_of(r, &c, &bad);
		if (!s->command[i] && !bad && !r->no_memory) /* an empty one */
			s->command[i] = allocate(r, 1, 1);
	}
	return bad || r->no_memory ? broken(r, "an argument") : 0;
}

static void read_module(struct reader *r, struct cursor *c, struct snapshot_module *m,
			bool *bad)
{
	uint32_t flags, crc;
	const char *link;
	const uint8_t *build_id, *fingerprint;
	size_t build_id_len, fingerprint_len;

	m->begin = cursor_u64(c);
	m->end = cursor_u64(c);
	m->bias = cursor_u64(c);
	flags = cursor_u32(c);
	m->mapped = flags & LAYOUT_MODULE_MAPPED;
	m->deleted = flags & LAYOUT_MODULE_DELETED;
	m->id.path = copy_of(r, c, bad);
	fill_text(r, c, m->unwind_from, sizeof(m->unwind_from), bad);
	fill_text(r, c, m->why, sizeof(m->why), bad);
	r->file->names.sources[m->instance - 1] = text_of(r, c, bad);
	link = text_of(r, c, bad);
	crc = cursor_u32(c);
	build_id_len = cursor_u8(c);
	fingerprint_len = cursor_u8(c);
	cursor_bytes(c, 2 + 8 + 8);
	build_id = cursor_bytes(c, sizeof(m->id.build_id));
	fingerprint = cursor_bytes(c, sizeof(m->id.fingerprint));
	*bad |= !m->id.path || !module_id_set_build_id(&m->id, build_id, build_id_len) ||
		!module_id_set_fingerprint(&m->id, fingerprint, fingerprint_len) ||
		(link && !module_id_set_debuglink(&m->id, link, crc));
}

static int read_modules(struct reader *r)
{
	const struct section *section = &r->sections[LAYOUT_MODULES];
	struct snapshot *s = r->file->snapshot;
	bool bad = section->count >= FRAME_INSTANCES;

	if (!bad) {
		s->modules = allocate(r, section->count, sizeof(*s->modules));
		r->file->names.sources =
			allocate(r, section->count, sizeof(*r->file->names.sources));
	}
	for (size_t i = 0; i < section->count && !bad && !r->no_memory; i++) {
		uint8_t bytes[LAYOUT_MODULE_RECORD];
		struct cursor c = record_of(section, i, bytes, sizeof(bytes));

		s->modules[i].instance = (uint32_t)i + 1;
		s->module_count = r->file->names.module_count = i + 1;
		read_module(r, &c, &s->modules[i], &bad);
	}
	return bad || r->no_memory ? broken(r, "a module") : 0;
}

static int read_threads(struct reader *r)
{
	const struct section *section = &r->sections[LAYOUT_THREADS];
	struct snapshot *s = r->file->snapshot;
	bool bad = false;

	s->threads = allocate(r, section->count, sizeof(*s->threads));
	for (size_t i = 0; s->threads && i < section->count && !bad; i++) {
		uint8_t bytes[LAYOUT_THREAD_RECORD];
		struct cursor c = record_of(section, i, bytes, sizeof(bytes));
		struct snapshot_thread *t = &s->threads[i];

		t->tid = (int)cursor_u32(&c);
		fill_text(r, &c, t->name, sizeof(t->name), &bad);
		fill_text(r, &c, t->state, sizeof(t->state), &bad);
		cursor_u32(&c);
		t->allocs = cursor_u64(&c);
		t->frees = cursor_u64(&c);
		s->thread_count = i + 1;
	}
	return bad || r->no_memory ? broken(r, "a thread") : 0;
}

static int read_not_followed(struct reader *r)
{
	const struct section *section = &r->sections[LAYOUT_NOT_FOLLOWED];
	struct snapshot *s = r->file->snapshot;
	bool bad = false;

	s->missed = allocate(r, section->count, sizeof(*s->missed));
	for (size_t i = 0; i < section->count && !bad && !r->no_memory; i++) {
		uint8_t bytes[LAYOUT_NOT_FOLLOWED_RECORD];
		struct cursor c = record_of(section, i, bytes, sizeof(bytes));
		struct snapshot_missed *missed = &s->missed[i];

		missed->module = copy_of(r, &c, &bad);
		missed->function = copy_of(r, &c, &bad);
		missed->reason = copy_of(r, &c, &bad);
		s->missed_count = i + 1;
		bad |= !missed->module || !missed->reason;
	}
	return bad || r->no_memory ? broken(r, "what is not followed") : 0;
}

/* ---- stacks -------------------------------------------------------------------------- */

static void read_line(struct reader *r, size_t i, struct frame_line *line, bool *bad)
{
	uint8_t bytes[LAYOUT_LINE_RECORD];
	struct cursor c = record_of(&r->sections[LAYOUT_LINES], i, bytes, sizeof(bytes));

	line->base = cursor_u64(&c);
	line->function = text_of(r, &c, bad);
	line->symbol = text_of(r, &c, bad);
	line->file = text_of(r, &c, bad);
	line->line = cursor_u32(&c);
	line->inlined = cursor_u32(&c) & LAYOUT_LINE_INLINED;
}

static int read_lines(struct reader *r)
{
	struct frame_names *names = &r->file->names;
	size_t count = r->sections[LAYOUT_LINES].count;
	bool bad = false;

	names->lines = allocate(r, count, sizeof(*names->lines));
	for (size_t i = 0; names->lines && i < count && !bad; i++)
		read_line(r, i, &names->lines[i], &bad);
	names->line_count = count;
	return bad || r->no_memory ? broken(r, "a name") : 0;
}

/* Frames in their order, each once, of modules that are there. */
static int read_frames(struct reader *r)
{
	const struct section *section = &r->sections[LAYOUT_FRAMES];
	struct frame_names *names = &r->file->names;
	bool bad = false;

	names->frames = allocate(r, section->count, sizeof(*names->frames));
	r->frames = allocate(r, section->count, sizeof(*r->frames));
	for (size_t i = 0; !r->no_memory && i < section->count && !bad; i++) {
		uint8_t bytes[LAYOUT_FRAME_RECORD];
		struct cursor c = record_of(section, i, bytes, sizeof(bytes));
		struct named_frame *named = &names->frames[i];

		named->frame = r->frames[i] = cursor_u64(&c);
		named->first = cursor_u32(&c);
		named->count = cursor_u32(&c);
		bad = frame_instance(named->frame) > r->file->snapshot->module_count ||
		      named->count > names->line_count ||
		      named->first > names->line_count - named->count ||
		      (i && frame_order(r->frames[i - 1], named->frame) >= 0);
		names->frame_count = i + 1;
	}
	return bad || r->no_memory ? broken(r, "a frame") : 0;
}

/* Ours, of a node or end of the file's numbers; UINT32_MAX: it is not there. */
static uint32_t node_of(uint32_t number, uint32_t count)
{
	if (number < WALK_ENDS)
		return number;
	if (number < LAYOUT_FIRST_NODE || number - LAYOUT_FIRST_NODE >= count)
		return UINT32_MAX;
	return number - LAYOUT_FIRST_NODE + WALK_ENDS;
}

static int read_nodes(struct reader *r)
{
	const struct section *section = &r->sections[LAYOUT_NODES];
	struct snapshot *s = r->file->snapshot;
	bool bad = section->count > UINT32_MAX - LAYOUT_FIRST_NODE;

	if (!bad)
		s->nodes = allocate(r, section->count + WALK_ENDS, sizeof(*s->nodes));
	for (uint32_t i = 0; i < section->count && !bad && !r->no_memory; i++) {
		uint8_t bytes[LAYOUT_NODE_RECORD];
		struct cursor c = record_of(section, i, bytes, sizeof(bytes));
		uint32_t frame = cursor_u32(&c), parent = node_of(cursor_u32(&c), i);

		bad = frame >= r->file->names.frame_count || parent == UINT32_MAX;
		if (!bad)
			s->nodes[WALK_ENDS + i] = (struct region_node){
				.frame = r->frames[frame], .parent = parent};
	}
	s->node_count = (uint32_t)section->count + WALK_ENDS;
	return bad || r->no_memory ? broken(r, "a call stack") : 0;
}

static int read_contexts(struct reader *r)
{
	const struct section *section = &r->sections[LAYOUT_CONTEXTS];
	struct snapshot *s = r->file->snapshot;
	bool bad = !section->count; /* the first is where stacks begin */

	s->contexts = allocate(r, section->count, sizeof(*s->contexts));
	for (uint32_t i = 0; i < section->count && !bad && !r->no_memory; i++) {
		uint8_t bytes[LAYOUT_CONTEXT_RECORD];
		struct cursor cursor = record_of(section, i, bytes, sizeof(bytes));
		struct region_context *c = &s->contexts[i];

		c->allocs = cursor_u64(&cursor);
		c->frees = cursor_u64(&cursor);
		c->allocated_bytes = cursor_u64(&cursor);
		c->freed_bytes = cursor_u64(&cursor);
		c->peak_bytes = cursor_u64(&cursor);
		c->node = node_of(cursor_u32(&cursor), s->node_count - WALK_ENDS);
		c->first_time = cursor_u32(&cursor);
		c->last_time = cursor_u32(&cursor);
		bad = c->node == UINT32_MAX ||
		      !are_sound(c->allocs, c->frees, c->allocated_bytes, c->freed_bytes);
		if (!bad && c->node >= WALK_ENDS)
			s->nodes[c->node].context = i;
	}
	s->context_count = (uint32_t)section->count;
	return bad || r->no_memory ? broken(r, "the counts of a call stack") : 0;
}

/* ---- the whole ----------------------------------------------------------------------- */

static int read_all(struct reader *r)
{
	static int (*const parts[])(struct reader * r) = {
		read_texts,  read_process, read_arguments, read_modules, read_lines,
		read_frames, read_nodes,   read_contexts,  read_threads, read_not_followed,
	};
	int e = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts) && !e; i++)
		e = parts[i](r);
	return e;
}

int snapshot_file_parse(const uint8_t *bytes, size_t len, struct snapshot_file **ret,
			struct err *err)
{
	struct err own;
	struct reader r = {.err = err ? err : &own};
	int e = find_sections(&r, bytes, len);

	if (e)
		return e;
	r.file = calloc(1, sizeof(*r.file));
	if (r.file)
		r.file->snapshot = calloc(1, sizeof(*r.file->snapshot));
	if (r.file && r.file->snapshot)
		e = read_all(&r);
	else
		e = err_set(err, -ENOMEM, "no memory for the snapshot");
	free(r.frames);
	if (e) {
		snapshot_file_destroy(r.file);
		return e;
	}
	*ret = r.file;
	return 0;
}

void snapshot_file_destroy(struct snapshot_file *file)
{
	if (!file)
		return;
	snapshot_destroy(file->snapshot);
	free(file->names.frames);
	free(file->names.lines);
	free(file->names.sources);
	free(file->texts);
	free(file);
}
