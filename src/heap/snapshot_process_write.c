/*
 * What a snapshot file says of the process; snapshot_process_read.c reads the same fields in
 * the same order, and doc/snapshot.md has them.
 */
#include "heap/snapshot_writer.h"

static void write_totals(struct snapshot_writer *w, const struct region_totals *t)
{
	snapshot_put_u64(w, t->allocs);
	snapshot_put_u64(w, t->frees);
	snapshot_put_u64(w, t->allocated_bytes);
	snapshot_put_u64(w, t->freed_bytes);
	snapshot_put_u64(w, t->peak_bytes);
	snapshot_put_u64(w, t->frees_of_unknown);
	snapshot_put_u64(w, t->lost_events);
	snapshot_put_u64(w, t->overflow_blocks);
	snapshot_put_u64(w, t->live_blocks);
}

void snapshot_write_process(struct snapshot_writer *w)
{
	const struct snapshot *s = w->s;

	snapshot_put_section(w, LAYOUT_PROCESS, LAYOUT_PROCESS_RECORD, LAYOUT_PROCESS_RECORD);
	snapshot_put_u32(w, (uint32_t)s->pid);
	snapshot_put_u32(w, (s->running ? LAYOUT_PROCESS_RUNNING : 0) |
				    (s->no_allocator ? LAYOUT_PROCESS_NO_ALLOCATOR : 0) |
				    (s->maps_followed ? LAYOUT_PROCESS_MAPS_FOLLOWED : 0) |
				    (s->own_heap_off ? LAYOUT_PROCESS_OWN_HEAP_OFF : 0));
	snapshot_put_u64(w, (uint64_t)s->taken.tv_sec);
	snapshot_put_u64(w, (uint64_t)s->started.tv_sec);
	snapshot_put_u32(w, (uint64_t)s->taken.tv_nsec);
	snapshot_put_u32(w, (uint64_t)s->started.tv_nsec);
	snapshot_put_u32(w, s->ticks_now);
	snapshot_put_u32(w, w->depth);
	snapshot_put_u64(w, s->resident_bytes);
	snapshot_put_u64(w, s->region_bytes);
	snapshot_put_text(w, s->engine);
	snapshot_put_text(w, w->version);
	write_totals(w, &s->totals);
	snapshot_put_u64(w, s->resident_at_start);
	snapshot_put_u64(w, s->sampling.coarsest);
	snapshot_put_u64(w, s->sampling.bytes);
	snapshot_put_u64(w, s->sampling.min_size);
	snapshot_put_u64(w, s->sampling.small);
	snapshot_put_text(w, s->engine_reason);
	snapshot_put_u32(w, 0);
	snapshot_put_u64(w, s->stopped_calls);
	snapshot_end_section(w);
}

void snapshot_write_arguments(struct snapshot_writer *w)
{
	size_t count = 0;

	while (w->s->command && w->s->command[count])
		count++;
	snapshot_put_section(w, LAYOUT_ARGUMENTS, LAYOUT_ARGUMENT_RECORD,
			     (uint64_t)count * LAYOUT_ARGUMENT_RECORD);
	for (size_t i = 0; i < count; i++)
		snapshot_put_text(w, w->s->command[i]);
	snapshot_end_section(w);
}

static void write_module(struct snapshot_writer *w, const struct snapshot_module *m,
			 const char *source)
{
	snapshot_put_u64(w, m->begin);
	snapshot_put_u64(w, m->end);
	snapshot_put_u64(w, m->bias);
	snapshot_put_u32(w, (m->mapped ? LAYOUT_MODULE_MAPPED : 0) |
				    (m->deleted ? LAYOUT_MODULE_DELETED : 0));
	snapshot_put_text(w, m->id.path);
	snapshot_put_text(w, m->unwind_from);
	snapshot_put_text(w, m->why);
	snapshot_put_text(w, source);
	snapshot_put_text(w, m->id.debuglink);
	snapshot_put_u32(w, m->id.debuglink_crc);
	snapshot_put_uint(w, m->id.build_id_len, 1);
	snapshot_put_uint(w, m->id.fingerprint_len, 1);
	snapshot_put_uint(w, 0, 2);
	snapshot_put_u64(w, 0);
	snapshot_put_u64(w, 0);
	snapshot_put_bytes(w, m->id.build_id, sizeof(m->id.build_id));
	snapshot_put_bytes(w, m->id.fingerprint, sizeof(m->id.fingerprint));
}

void snapshot_write_modules(struct snapshot_writer *w)
{
	const struct frame_names *names = w->names;

	snapshot_put_section(w, LAYOUT_MODULES, LAYOUT_MODULE_RECORD,
			     (uint64_t)w->s->module_count * LAYOUT_MODULE_RECORD);
	for (size_t i = 0; i < w->s->module_count; i++)
		write_module(w, &w->s->modules[i],
			     names && names->sources && i < names->module_count
				     ? names->sources[i]
				     : NULL);
	snapshot_end_section(w);
}

void snapshot_write_threads(struct snapshot_writer *w)
{
	const struct snapshot *s = w->s;

	snapshot_put_section(w, LAYOUT_THREADS, LAYOUT_THREAD_RECORD,
			     (uint64_t)s->thread_count * LAYOUT_THREAD_RECORD);
	for (size_t i = 0; i < s->thread_count; i++) {
		snapshot_put_u32(w, (uint32_t)s->threads[i].tid);
		snapshot_put_text(w, s->threads[i].name);
		snapshot_put_text(w, s->threads[i].state);
		snapshot_put_u32(w, 0);
		snapshot_put_u64(w, s->threads[i].allocs);
		snapshot_put_u64(w, s->threads[i].frees);
	}
	snapshot_end_section(w);
}

void snapshot_write_not_followed(struct snapshot_writer *w)
{
	const struct snapshot *s = w->s;

	snapshot_put_section(w, LAYOUT_NOT_FOLLOWED, LAYOUT_NOT_FOLLOWED_RECORD,
			     (uint64_t)s->missed_count * LAYOUT_NOT_FOLLOWED_RECORD);
	for (size_t i = 0; i < s->missed_count; i++) {
		snapshot_put_text(w, s->missed[i].module);
		snapshot_put_text(w, s->missed[i].function);
		snapshot_put_text(w, s->missed[i].reason);
		snapshot_put_u32(w, 0);
	}
	snapshot_end_section(w);
}

void snapshot_write_mappings(struct snapshot_writer *w)
{
	const struct snapshot *s = w->s;

	snapshot_put_section(w, LAYOUT_MAPPINGS, LAYOUT_MAPPING_RECORD,
			     (uint64_t)s->mapping_count * LAYOUT_MAPPING_RECORD);
	for (size_t i = 0; i < s->mapping_count; i++) {
		snapshot_put_u64(w, s->mappings[i].begin);
		snapshot_put_u64(w, s->mappings[i].end);
		snapshot_put_u32(w, s->mappings[i].context);
		snapshot_put_u32(w, s->mappings[i].time);
	}
	snapshot_end_section(w);
}
