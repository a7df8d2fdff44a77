/*
 * The survey; see survey.h.
 *
 *    a mapping:  [ an allocator's | nobody's | an allocator's ]   the kernel joins neighbours
 *
 * Of one that is an allocator's in part, the pages of that part are counted, and the rest is what
 * the kernel says less that.
 */
#include "heap/survey.h"

#include <string.h>

#include "base/order.h"
#include "elf/maps.h"
#include "region/shared.h"

/* ---- pins ------------------------------------------------------------------------- */

struct pinning {
	const struct survey_input *in;
	struct survey *out;
	uint32_t last; /* the block that was met last; LEAK_NONE */
	bool failed;
};

static void take_pin(void *arg, uint32_t index, uint64_t bytes)
{
	struct pinning *p = arg;
	struct leak_block block;
	struct survey_pin pin = {.blocks = 1, .bytes = bytes};

	if (index == p->last && p->out->pins.len) { /* (on two pages: one after the other) */
		p->out->pins.at[p->out->pins.len - 1].bytes += bytes;
		return;
	}
	p->last = index;
	leak_block(p->in->leak, index, &block);
	pin.context = block.context;
	pin.size = block.context ? 0 : block.size;
	p->out->pin_blocks++;
	p->failed |= !vec_push(&p->out->pins, pin);
}

static int by_owner(const void *a, const void *b)
{
	const struct survey_pin *x = a, *y = b;

	return order_u64(x->context, y->context) ?: order_u64(x->size, y->size);
}

static int by_pinned(const void *a, const void *b)
{
	const struct survey_pin *x = a, *y = b;

	return order_u64(y->bytes, x->bytes) ?: by_owner(a, b);
}

/* Where blocks are of an allocator that is not known, what lies between them need not be free. */
static bool knows_all(struct leak *leak)
{
	size_t count;
	const struct leak_allocator *all = leak_allocators(leak, &count);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(all[i].name, LEAK_TRACED))
			return false;
	return true;
}

static bool find_pins(const struct survey_input *in, struct survey *out)
{
	struct pinning p = {in, out, LEAK_NONE, false};
	size_t kept = 0;

	if (!knows_all(in->leak))
		return true;
	out->pinned = leak_for_each_pin(in->leak, take_pin, &p);
	for (size_t i = 0; i < out->pins.len && !p.failed; i++)
		if (!out->pins.at[i].context) {
			out->before.blocks++;
			out->before.bytes += out->pins.at[i].bytes;
		}
	if (p.failed || !out->pins.len)
		return !p.failed;
	qsort(out->pins.at, out->pins.len, sizeof(*out->pins.at), by_owner);
	for (size_t i = 1; i < out->pins.len; i++) {
		struct survey_pin *pin = &out->pins.at[kept];

		if (by_owner(pin, &out->pins.at[i])) {
			out->pins.at[++kept] = out->pins.at[i];
			continue;
		}
		pin->blocks += out->pins.at[i].blocks;
		pin->bytes += out->pins.at[i].bytes;
	}
	out->pins.len = kept + 1;
	qsort(out->pins.at, out->pins.len, sizeof(*out->pins.at), by_pinned);
	return true;
}

/* ---- mappings ---------------------------------------------------------------------- */

static const struct mapping_use *use_of(const struct survey_input *in, taddr_t begin)
{
	size_t low = order_count(in->use_count, i, in->uses[i].range.end <= begin);

	return low < in->use_count && in->uses[low].range.begin <= begin ? &in->uses[low] : NULL;
}

/* Of [begin, end): how much is an allocator's, and, unless that is all, how much of it has content. */
static void owned_in(const struct survey_input *in, taddr_t begin, taddr_t end, uint64_t *bytes,
		     uint64_t *content)
{
	size_t count, low;
	const struct range *heaps = leak_heaps(in->leak, &count);

	*bytes = *content = 0;
	low = order_count(count, i, heaps[i].end <= begin);
	for (; low < count && heaps[low].begin < end; low++) {
		taddr_t from = heaps[low].begin < begin ? begin : heaps[low].begin;
		taddr_t to = heaps[low].end > end ? end : heaps[low].end;

		*bytes += to - from;
		if (from > begin || to < end)
			*content += leak_present(in->leak, from, to);
	}
}

/* The stack that sp is in; 0: none's. */
static int stack_of(const struct survey_input *in, const struct mapping *mapping)
{
	for (size_t i = 0; i < in->thread_count; i++)
		if (in->threads[i].sp >= mapping->begin && in->threads[i].sp < mapping->end)
			return in->threads[i].tid;
	return 0;
}

/* How much of a mapping is a context's; *largest (may be NULL): whose the largest piece is.  (The list
 * has the highest first: those that begin below the mapping's end, down to its begin.) */
static uint64_t mapped_by(const struct survey_input *in, const struct mapping *mapping,
			  uint32_t context, uint32_t *largest)
{
	size_t low = order_count(in->mapped_count, i, in->mapped[i].begin >= mapping->end);
	uint64_t most = 0, all = 0;

	for (; low < in->mapped_count && in->mapped[low].end > mapping->begin; low++) {
		const struct mapped_range *m = &in->mapped[low];
		taddr_t from = m->begin < mapping->begin ? mapping->begin : m->begin;
		taddr_t to = m->end > mapping->end ? mapping->end : m->end;

		all += m->context == context ? to - from : 0;
		if (largest && to - from > most) {
			most = to - from;
			*largest = m->context;
		}
	}
	return all;
}

/* The agent's memory, or its code, which lies before that (tracer/inject.h). */
static bool is_agent(const struct maps *maps, const struct mapping *mapping)
{
	const struct mapping *next = mapping + 1;

	if (mapping->exec && !*mapping->path && next < maps->list.at + maps->list.len &&
	    next->begin == mapping->end)
		mapping = next;
	return mapping->shared && !strncmp(mapping->path, SHARED_PATH, strlen(SHARED_PATH));
}

static bool add_mapping(struct survey *out, const struct survey_mapping *m)
{
	if (m->kind == SURVEY_ANONYMOUS) {
		out->anonymous++;
		out->anonymous_resident += m->resident;
		out->anonymous_swapped += m->swapped;
	}
	return vec_push(&out->mappings, *m);
}

/* What is an allocator's goes out; of the rest that has content, as much is taken to be in swap as of
 * all of the mapping. */
static void take_owned(struct survey_mapping *m, uint64_t owned, uint64_t content)
{
	uint64_t all = m->resident + m->swapped;
	uint64_t rest = owned == m->bytes || content > all ? 0 : all - content;

	if (!owned)
		return;
	m->bytes -= owned;
	if (m->swapped)
		m->swapped = (uint64_t)((double)rest * (double)m->swapped / (double)all);
	m->resident = rest - m->swapped;
}

static bool take_mapping(const struct survey_input *in, const struct mapping *mapping,
			 struct survey *out)
{
	const struct mapping_use *use = use_of(in, mapping->begin);
	struct survey_mapping m = {.begin = mapping->begin,
				   .end = mapping->end,
				   .path = mapping->path,
				   .mappings = 1,
				   .bytes = mapping->end - mapping->begin,
				   .resident = use ? use->resident : 0,
				   .swapped = use ? use->swapped : 0};
	const struct module *module;
	uint64_t owned, content;

	if (is_agent(in->maps, mapping)) {
		m.kind = SURVEY_AGENT;
		m.path = SHARED_PATH;
		return !(m.resident + m.swapped) || add_mapping(out, &m);
	}
	out->resident += m.resident;
	out->swapped += m.swapped;
	owned_in(in, m.begin, m.end, &owned, &content);
	take_owned(&m, owned, content);
	if (!m.bytes || (!m.resident && !m.swapped))
		return true;
	m.tid = stack_of(in, mapping);
	module = *m.path ? NULL : modules_find(in->modules, m.begin);
	if (module && module->id.path) /* its .bss */
		m.path = module->id.path;
	m.kind = m.tid ? SURVEY_STACK : *m.path ? SURVEY_NAMED : SURVEY_ANONYMOUS;
	mapped_by(in, mapping, 0, &m.context);
	m.by_context = m.context ? mapped_by(in, mapping, m.context, NULL) : 0;
	return add_mapping(out, &m);
}

static int by_resident(const void *a, const void *b)
{
	const struct survey_mapping *x = a, *y = b;

	return order_u64(y->resident, x->resident) ?: order_u64(x->begin, y->begin);
}

static bool is_joined(const struct survey_mapping *m)
{
	return m->kind == SURVEY_NAMED || m->kind == SURVEY_AGENT;
}

static int by_file(const void *a, const void *b)
{
	const struct survey_mapping *x = a, *y = b;
	int order;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	order = is_joined(x) ? strcmp(x->path, y->path) : 0;
	return order ? order : x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* A file's mappings are one, and the agent's. */
static void join_files(struct survey *out)
{
	struct survey_mapping *list = out->mappings.at;
	size_t kept = 0;

	if (!out->mappings.len)
		return;
	qsort(list, out->mappings.len, sizeof(*list), by_file);
	for (size_t i = 1; i < out->mappings.len; i++) {
		struct survey_mapping *m = &list[kept];

		if (m->kind != list[i].kind || !is_joined(m) || strcmp(m->path, list[i].path)) {
			list[++kept] = list[i];
			continue;
		}
		m->mappings++;
		m->bytes += list[i].bytes;
		m->resident += list[i].resident;
		m->swapped += list[i].swapped;
	}
	out->mappings.len = kept + 1;
	qsort(list, out->mappings.len, sizeof(*list), by_resident);
}

bool survey_make(const struct survey_input *input, struct survey *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < input->maps->list.len; i++)
		if (!take_mapping(input, &input->maps->list.at[i], ret))
			return false;
	join_files(ret);
	return find_pins(input, ret);
}

void survey_deinit(struct survey *survey)
{
	vec_deinit(&survey->pins);
	vec_deinit(&survey->mappings);
}
