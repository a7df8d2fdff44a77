/*
 * Findings; see findings.h.
 *
 *    blocks --one pass--> sums, contexts
 *    groups (a lost block each, the largest first) --> a key each --sort, join--> list
 *
 * The key of a block that was traced is its context; of one from before the attach the kind of its
 * content, with a name or else its size.  Contents are read of the largest CONTENTS_MOST only; the
 * others go by their size.
 */
#include "heap/findings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/order.h"

enum { CONTENTS_MOST = 20000 };

struct making {
	struct leak *leak;
	const struct findings_options *options;
	struct findings *out;
	size_t *finding; /* by context: 1 + its place in the list; 0: it has none */
};

static void add(struct leak_sum *sum, uint64_t bytes)
{
	sum->blocks++;
	sum->bytes += bytes;
}

/* With the size that was asked for, where that is known. */
static void as_asked(struct leak_block *block)
{
	if (block->context)
		block->size = block->asked;
}

static void block_at(const struct making *m, uint32_t index, struct leak_block *ret)
{
	leak_block(m->leak, index, ret);
	as_asked(ret);
}

/* ---- sums -------------------------------------------------------------- */

static int by_addr(const void *a, const void *b)
{
	taddr_t x = *(const taddr_t *)a, y = *(const taddr_t *)b;

	return order_u64(x, y);
}

/* Lost now, but not before; or in the hands of a call of the allocator, where this is the only look. */
static bool is_perhaps(const struct findings_options *options, const struct leak_block *block)
{
	if (block->class == LEAK_HELD || !options->confirmed)
		return block->doubted;
	return !bsearch(&block->addr, options->confirmed, options->confirmed_count,
			sizeof(*options->confirmed), by_addr);
}

static struct leak_sum *sum_of(struct findings_sums *sums, const struct leak_block *block,
			       bool perhaps)
{
	return perhaps				   ? &sums->perhaps
	       : block->class == LEAK_LOST	   ? &sums->lost
	       : block->class == LEAK_LOST_THROUGH ? &sums->through
						   : &sums->held;
}

static bool count_block(void *arg, uint32_t index, const struct leak_block *found)
{
	struct making *m = arg;
	struct leak_block block = *found;
	bool perhaps = is_perhaps(m->options, &block);
	struct findings_sums *kind;

	(void)index;
	as_asked(&block);
	add(sum_of(&m->out->all, &block, perhaps), block.size);
	kind = block.context && block.context < m->out->context_count
		       ? &m->out->contexts[block.context].sums
		       : &m->out->before;
	add(sum_of(kind, &block, perhaps), block.size);
	m->out->block_count += block.class != LEAK_HELD;
	return true;
}

static bool take_lost(void *arg, uint32_t index, const struct leak_block *block)
{
	struct findings_addrs *addrs = arg;

	(void)index;
	return block->class == LEAK_HELD || vec_push(addrs, block->addr);
}

bool findings_lost(const struct leak *leak, struct findings_addrs *ret)
{
	return leak_for_each_block(leak, take_lost, ret);
}

static void content_of(const struct making *m, uint32_t index, struct leak_content *ret)
{
	if (m->options->content)
		m->options->content(m->options->path_arg, index, ret);
	else
		leak_content(m->leak, index, ret);
}

/* ---- the list ---------------------------------------------------------- */

static bool has_name(const struct leak_content *content)
{
	return content->kind == LEAK_CLASS || content->kind == LEAK_OWNED ||
	       content->kind == LEAK_LIST_NODE;
}

static int by_key(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int names;

	if (x->context != y->context)
		return x->context < y->context ? -1 : 1;
	if (x->context)
		return 0;
	if (x->content.kind != y->content.kind)
		return x->content.kind < y->content.kind ? -1 : 1;
	names = has_name(&x->content) ? strcmp(x->content.text, y->content.text) : 0;
	if (names || has_name(&x->content))
		return names;
	return order_u64(x->size, y->size);
}

static uint64_t weight(const struct finding *f)
{
	return findings_gone(&f->sums) + f->along.bytes;
}

/* What is lost by itself comes before what is lost through others: these say why. */
static unsigned guilt(const struct finding *f)
{
	return f->sums.lost.blocks ? 0 : f->sums.through.blocks ? 1 : 2;
}

static int by_weight(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	uint64_t wx = weight(x), wy = weight(y);

	if (guilt(x) != guilt(y))
		return guilt(x) < guilt(y) ? -1 : 1;
	if (wx != wy)
		return wx > wy ? -1 : 1;
	if (x->sums.perhaps.bytes != y->sums.perhaps.bytes)
		return x->sums.perhaps.bytes > y->sums.perhaps.bytes ? -1 : 1;
	return x->context < y->context ? -1
	       : x->context > y->context ? 1
	       : x->example < y->example ? -1
					 : x->example > y->example;
}

/* One lost block, as a finding. */
static bool push_group(struct making *m, const struct leak_group *group, size_t rank)
{
	struct finding f = {.shape = group->shape};
	struct leak_block block;
	uint64_t usable;

	leak_block(m->leak, group->leader, &block);
	usable = block.size;
	block_at(m, group->leader, &block);
	f.context = block.context < m->out->context_count ? block.context : 0;
	f.size = block.size;
	f.example = block.addr;
	add(sum_of(&f.sums, &block, is_perhaps(m->options, &block)), block.size);
	f.along.blocks = group->all.blocks - 1;
	f.along.bytes = group->all.bytes - usable;
	f.content.kind = LEAK_UNKNOWN;
	if (!f.context && rank < CONTENTS_MOST)
		content_of(m, group->leader, &f.content);
	return vec_push(&m->out->list, f);
}

static void join(struct finding *into, const struct finding *from)
{
	into->sums.lost.blocks += from->sums.lost.blocks;
	into->sums.lost.bytes += from->sums.lost.bytes;
	into->sums.perhaps.blocks += from->sums.perhaps.blocks;
	into->sums.perhaps.bytes += from->sums.perhaps.bytes;
	if (from->along.bytes > into->along.bytes ||
	    (!into->along.blocks && from->size > into->size)) {
		into->shape = from->shape;
		into->example = from->example;
		into->content = from->content;
	}
	into->along.blocks += from->along.blocks;
	into->along.bytes += from->along.bytes;
}

static void join_all(struct findings *out)
{
	size_t kept = 0;

	if (!out->list.len)
		return;
	qsort(out->list.at, out->list.len, sizeof(*out->list.at), by_key);
	for (size_t i = 1; i < out->list.len; i++) {
		if (by_key(&out->list.at[kept], &out->list.at[i]))
			out->list.at[++kept] = out->list.at[i];
		else
			join(&out->list.at[kept], &out->list.at[i]);
	}
	out->list.len = kept + 1;
}

static struct finding *find_context(const struct making *m, uint32_t context)
{
	size_t place = context < m->out->context_count ? m->finding[context] : 0;

	return place ? &m->out->list.at[place - 1] : NULL;
}

/* Call stacks of which blocks are lost through others only are findings, too. */
static bool add_contexts(struct making *m)
{
	for (size_t i = 0; i < m->out->list.len; i++)
		m->finding[m->out->list.at[i].context] = i + 1;
	for (uint32_t id = 1; id < m->out->context_count; id++) {
		const struct findings_sums *sums = &m->out->contexts[id].sums;
		struct finding f = {.context = id}, *there;

		if (!sums->through.blocks && !sums->perhaps.blocks && !sums->lost.blocks)
			continue;
		there = find_context(m, id);
		if (there)
			there->sums = *sums;
		f.sums = *sums;
		if (!there && !vec_push(&m->out->list, f))
			return false;
		if (!there)
			m->finding[id] = m->out->list.len;
	}
	return true;
}

/* By whom the blocks of a call stack are lost. */
static bool note_leader(void *arg, uint32_t index, const struct leak_block *block)
{
	struct making *m = arg;
	struct leak_block leader;
	struct finding *f;

	(void)index;
	if (block->class != LEAK_LOST_THROUGH || !block->context || block->leader == LEAK_NONE)
		return true;
	f = find_context(m, block->context);
	if (!f || f->through)
		return true;
	block_at(m, block->leader, &leader);
	f->through = leader.context;
	if (!f->example)
		f->example = block->addr;
	return true;
}

static bool make_list(struct making *m)
{
	size_t count;
	const struct leak_group *groups = leak_groups(m->leak, &count);

	for (size_t i = 0; i < count; i++)
		if (!push_group(m, &groups[i], i))
			return false;
	join_all(m->out);
	if (!add_contexts(m))
		return false;
	leak_for_each_block(m->leak, note_leader, m);
	if (m->out->list.len)
		qsort(m->out->list.at, m->out->list.len, sizeof(*m->out->list.at), by_weight);
	for (size_t i = 0; i < m->out->list.len; i++)
		if (m->out->list.at[i].context &&
		    m->out->list.at[i].context < m->out->context_count)
			m->out->contexts[m->out->list.at[i].context].finding = (uint32_t)i + 1;
	return true;
}

/* ---- the blocks ---------------------------------------------------------- */

static bool push_block(struct making *m, uint32_t index)
{
	struct findings_block b;
	struct leak_block leader;

	memset(&b, 0, sizeof(b));
	block_at(m, index, &b.block);
	b.perhaps = is_perhaps(m->options, &b.block);
	content_of(m, index, &b.content);
	if (b.block.leader != LEAK_NONE) {
		block_at(m, b.block.leader, &leader);
		b.leader = leader.addr;
	}
	return vec_push(&m->out->blocks, b);
}

static size_t most_blocks(const struct making *m)
{
	return m->options->blocks ? m->options->blocks : SIZE_MAX;
}

static bool take_through(void *arg, uint32_t index, const struct leak_block *block)
{
	struct making *m = arg;

	return m->out->blocks.len < most_blocks(m) &&
	       (block->class != LEAK_LOST_THROUGH || push_block(m, index));
}

/* Those that others are lost through first, then these. */
static bool make_blocks(struct making *m)
{
	size_t count;
	const struct leak_group *groups = leak_groups(m->leak, &count);

	for (size_t i = 0; i < count && m->out->blocks.len < most_blocks(m); i++)
		if (!push_block(m, groups[i].leader))
			return false;
	if (!m->out->all.through.blocks && !m->out->all.perhaps.blocks)
		return true;
	return leak_for_each_block(m->leak, take_through, m) ||
	       m->out->blocks.len >= most_blocks(m);
}

/* ---- who holds the others -------------------------------------------------- */

VEC_TYPE(numbers, uint32_t);

struct held { /* the contexts that hold most, and their blocks */
	uint32_t *ids;
	struct numbers *blocks;
	size_t count;
};

static bool is_chosen(const struct held *held, uint32_t id)
{
	for (size_t i = 0; i < held->count; i++)
		if (held->ids[i] == id)
			return true;
	return false;
}

static uint32_t most_held(const struct findings *out, const struct held *held)
{
	uint32_t best = 0;

	for (uint32_t id = 1; id < out->context_count; id++) {
		const struct findings_context *c = &out->contexts[id];

		if (c->sums.held.bytes && !is_chosen(held, id) &&
		    (!best || c->sums.held.bytes > out->contexts[best].sums.held.bytes))
			best = id;
	}
	return best;
}

static bool take_held(void *arg, uint32_t index, const struct leak_block *block)
{
	struct held *held = arg;

	if (!block->context || block->class != LEAK_HELD)
		return true;
	for (size_t i = 0; i < held->count; i++)
		if (held->ids[i] == block->context)
			return vec_push(&held->blocks[i], index);
	return true;
}

static bool paths_of(struct making *m, struct held *held)
{
	uint32_t id;

	while (held->count < m->options->paths && (id = most_held(m->out, held)))
		held->ids[held->count++] = id;
	if (held->count && !leak_for_each_block(m->leak, take_held, held))
		return false;
	for (size_t i = 0; i < held->count; i++) {
		char **path = &m->out->contexts[held->ids[i]].held_by;

		*path = m->options->path(m->options->path_arg, held->blocks[i].at,
					 held->blocks[i].len);
		if (!*path)
			return false;
	}
	return true;
}

static bool make_paths(struct making *m)
{
	struct held held = {calloc(m->options->paths + 1, sizeof(*held.ids)),
			    calloc(m->options->paths + 1, sizeof(*held.blocks)), 0};
	bool ok = held.ids && held.blocks && paths_of(m, &held);

	for (size_t i = 0; held.blocks && i < held.count; i++)
		vec_deinit(&held.blocks[i]);
	free(held.ids);
	free(held.blocks);
	return ok;
}

/* ---- all --------------------------------------------------------------- */

static bool make(struct making *m)
{
	size_t count;
	const struct leak_allocator *allocators = leak_allocators(m->leak, &count);

	m->out->totals = *leak_totals(m->leak);
	m->out->confirmed = m->options->confirmed != NULL;
	m->out->context_count = m->options->context_count ? m->options->context_count : 1;
	m->out->contexts = calloc(m->out->context_count, sizeof(*m->out->contexts));
	m->finding = calloc(m->out->context_count, sizeof(*m->finding));
	if (!m->out->contexts || !m->finding)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!vec_push(&m->out->allocators, allocators[i]))
			return false;
	leak_for_each_block(m->leak, count_block, m);
	return make_list(m) && make_blocks(m) && (!m->options->path || make_paths(m));
}

int findings_create(struct leak *leak, const struct findings_options *options,
		    struct findings **ret, struct err *err)
{
	struct making making = {leak, options, calloc(1, sizeof(**ret)), NULL};
	bool made = making.out && make(&making);

	free(making.finding);
	if (!made) {
		findings_destroy(making.out);
		return err_set(err, -ENOMEM, "memory is short");
	}
	*ret = making.out;
	return 0;
}

void findings_shorten(struct findings *findings, size_t count)
{
	struct findings_block *at;

	if (!count || findings->blocks.len <= count)
		return;
	at = realloc(findings->blocks.at, count * sizeof(*at));
	if (at)
		findings->blocks.at = at;
	findings->blocks.len = findings->blocks.cap = count;
}

void findings_destroy(struct findings *findings)
{
	if (!findings)
		return;
	for (uint32_t i = 0; findings->contexts && i < findings->context_count; i++)
		free(findings->contexts[i].held_by);
	free(findings->contexts);
	vec_deinit(&findings->list);
	vec_deinit(&findings->blocks);
	vec_deinit(&findings->allocators);
	free(findings);
}
