/*
 * What a snapshot file says of the process: who it is, its totals, its modules and threads, and
 * what was not followed.  Every reference is checked as it is read.
 */
#include "heap/snapshot_reader.h"

#include <string.h>

/* ---- the process --------------------------------------------------------------------- */

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
	return snapshot_counts_sound(t->allocs, t->frees, t->allocated_bytes, t->freed_bytes);
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

int snapshot_read_process(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_PROCESS];
	struct snapshot *s = r->file->snapshot;
	uint8_t bytes[LAYOUT_PROCESS_RECORD];
	struct cursor c;
	uint32_t flags;
	bool bad = false;

	if (!section->at || section->count != 1)
		return snapshot_broken(r, "it says nothing of the process");
	c = snapshot_record(section, 0, bytes, sizeof(bytes));
	s->pid = (int)cursor_u32(&c);
	flags = cursor_u32(&c);
	s->running = flags & LAYOUT_PROCESS_RUNNING;
	s->no_allocator = flags & LAYOUT_PROCESS_NO_ALLOCATOR;
	s->maps_followed = flags & LAYOUT_PROCESS_MAPS_FOLLOWED;
	s->own_heap_off = flags & LAYOUT_PROCESS_OWN_HEAP_OFF;
	bad |= s->pid < 0 || !read_times(&c, s);
	s->ticks_now = cursor_u32(&c);
	r->file->depth = cursor_u32(&c);
	s->resident_bytes = cursor_u64(&c);
	s->region_bytes = cursor_u64(&c);
	snapshot_text_fill(r, &c, s->engine, sizeof(s->engine), &bad);
	r->file->version = snapshot_text(r, &c, &bad);
	bad |= !read_totals(&c, &s->totals);
	s->resident_at_start = cursor_u64(&c);
	s->sampling.coarsest = cursor_u64(&c);
	s->sampling.bytes = cursor_u64(&c);
	s->sampling.min_size = cursor_u64(&c);
	s->sampling.small = cursor_u64(&c);
	snapshot_text_fill(r, &c, s->engine_reason, sizeof(s->engine_reason), &bad);
	cursor_u32(&c);
	s->stopped_calls = cursor_u64(&c);
	return bad ? snapshot_broken(r, "what it says of the process contradicts itself") : 0;
}

int snapshot_read_arguments(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_ARGUMENTS];
	struct snapshot *s = r->file->snapshot;
	bool bad = false;

	s->command = snapshot_allocate(r, section->count, sizeof(*s->command));
	for (size_t i = 0; s->command && i < section->count && !bad && !r->no_memory; i++) {
		uint8_t bytes[LAYOUT_ARGUMENT_RECORD];
		struct cursor c = snapshot_record(section, i, bytes, sizeof(bytes));

		s->command[i] = snapshot_text_copy(r, &c, &bad);
		if (!s->command[i] && !bad && !r->no_memory) /* an empty one */
			s->command[i] = snapshot_allocate(r, 1, 1);
	}
	return bad || r->no_memory ? snapshot_broken(r, "an argument") : 0;
}

static void read_module(struct snapshot_reader *r, struct cursor *c, struct snapshot_module *m,
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
	m->id.path = snapshot_text_copy(r, c, bad);
	snapshot_text_fill(r, c, m->unwind_from, sizeof(m->unwind_from), bad);
	snapshot_text_fill(r, c, m->why, sizeof(m->why), bad);
	r->file->names.sources[m->instance - 1] = snapshot_text(r, c, bad);
	link = snapshot_text(r, c, bad);
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

int snapshot_read_modules(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_MODULES];
	struct snapshot *s = r->file->snapshot;
	bool bad = section->count >= FRAME_INSTANCES;

	if (!bad) {
		s->modules = snapshot_allocate(r, section->count, sizeof(*s->modules));
		r->file->names.sources =
			snapshot_allocate(r, section->count, sizeof(*r->file->names.sources));
	}
	for (size_t i = 0; i < section->count && !bad && !r->no_memory; i++) {
		uint8_t bytes[LAYOUT_MODULE_RECORD];
		struct cursor c = snapshot_record(section, i, bytes, sizeof(bytes));

		s->modules[i].instance = (uint32_t)i + 1;
		s->module_count = r->file->names.module_count = i + 1;
		read_module(r, &c, &s->modules[i], &bad);
	}
	return bad || r->no_memory ? snapshot_broken(r, "a module") : 0;
}

int snapshot_read_threads(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_THREADS];
	struct snapshot *s = r->file->snapshot;
	bool bad = false;

	s->threads = snapshot_allocate(r, section->count, sizeof(*s->threads));
	for (size_t i = 0; s->threads && i < section->count && !bad; i++) {
		uint8_t bytes[LAYOUT_THREAD_RECORD];
		struct cursor c = snapshot_record(section, i, bytes, sizeof(bytes));
		struct snapshot_thread *t = &s->threads[i];

		t->tid = (int)cursor_u32(&c);
		snapshot_text_fill(r, &c, t->name, sizeof(t->name), &bad);
		snapshot_text_fill(r, &c, t->state, sizeof(t->state), &bad);
		cursor_u32(&c);
		t->allocs = cursor_u64(&c);
		t->frees = cursor_u64(&c);
		s->thread_count = i + 1;
	}
	return bad || r->no_memory ? snapshot_broken(r, "a thread") : 0;
}

int snapshot_read_not_followed(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_NOT_FOLLOWED];
	struct snapshot *s = r->file->snapshot;
	bool bad = false;

	s->missed = snapshot_allocate(r, section->count, sizeof(*s->missed));
	for (size_t i = 0; i < section->count && !bad && !r->no_memory; i++) {
		uint8_t bytes[LAYOUT_NOT_FOLLOWED_RECORD];
		struct cursor c = snapshot_record(section, i, bytes, sizeof(bytes));
		struct snapshot_missed *missed = &s->missed[i];

		missed->module = snapshot_text_copy(r, &c, &bad);
		missed->function = snapshot_text_copy(r, &c, &bad);
		missed->reason = snapshot_text_copy(r, &c, &bad);
		s->missed_count = i + 1;
		bad |= !missed->module || !missed->reason;
	}
	return bad || r->no_memory ? snapshot_broken(r, "what is not followed") : 0;
}
