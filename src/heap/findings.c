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

/* The block, with the size that was asked for where that is known. */
static void block_at(const struct making *m, uint32_t index, struct leak_block *ret)
{
	size_t low = 0, high = m->options->live_count;

	leak_block(m->leak, index, ret);
	while (ret->context && low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->options->live[middle].addr < ret->addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (ret->context && low < m->options->live_count &&
	    m->options->live[low].addr == ret->addr)
		ret->size = m->options->live[low].size;
}

/* ---- sums -------------------------------------------------------------- */

static int by_addr(const void *a, const void *b)
{
	taddr_t x = *(const taddr_t *)a, y = *(const taddr_t *)b;

	return x < y ? -1 : x > y;
}

/* Lost now, but not before. */
static bool is_perhaps(const struct findings_options *options, const struct leak_block *block)
{
	return options->confirmed && block->class != LEAK_HELD &&
	       !bsearch(&block->addr, options->confirmed, options->confirmed_count,
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

static void sum_up(struct making *m)
{
	uint32_t count = leak_count(m->leak);
	struct leak_block block;

	for (uint32_t i = 0; i < count; i++) {
		struct findings_sums *kind;
		bool perhaps;

		block_at(m, i, &block);
		perhaps = is_perhaps(m->options, &block);
		add(sum_of(&m->out->all, &block, perhaps), block.size);
		kind = block.context && block.context < m->out->context_count
			       ? &m->out->contexts[block.context].sums
			       : &m->out->before;
		add(sum_of(kind, &block, perhaps), block.size);
	}
}

bool findings_lost(const struct leak *leak, struct findings_addrs *ret)
{
	uint32_t count = leak_count(leak);
	struct leak_block block;

	for (uint32_t i = 0; i < count; i++) {
		leak_block(leak, i, &block);
		if (block.class != LEAK_HELD && !vec_push(ret, block.addr))
			return false;
	}
	return true;
}

/* ---- the list ---------------------------------------------------------- */

static bool has_name(const struct leak_content *content)
{
	return content->kind == LEAK_CLASS || content->kind == LEAK_OWNED;
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
	return x->size < y->size ? -1 : x->size > y->size;
}

static uint64_t weight(const struct finding *f)
{
	return findings_gone(&f->sums) + f->along.bytes;
}

static int by_weight(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	uint64_t wx = weight(x), wy = weight(y);

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
		leak_content(m->leak, group->leader, &f.content);
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
static void note_leaders(struct making *m)
{
	uint32_t count = leak_count(m->leak);
	struct leak_block block, leader;

	for (uint32_t i = 0; i < count; i++) {
		struct finding *f;

		block_at(m, i, &block);
		if (block.class != LEAK_LOST_THROUGH || !block.context ||
		    block.leader == LEAK_NONE)
			continue;
		f = find_context(m, block.context);
		if (!f || f->through)
			continue;
		block_at(m, block.leader, &leader);
		f->through = leader.context;
		if (!f->example)
			f->example = block.addr;
	}
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
	note_leaders(m);
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
	leak_content(m->leak, index, &b.content);
	if (b.block.leader != LEAK_NONE) {
		block_at(m, b.block.leader, &leader);
		b.leader = leader.addr;
	}
	return vec_push(&m->out->blocks, b);
}

/* Those that others are lost through first, then these. */
static bool make_blocks(struct making *m)
{
	size_t count, most = m->options->blocks ? m->options->blocks : SIZE_MAX;
	const struct leak_group *groups = leak_groups(m->leak, &count);
	uint32_t blocks = leak_count(m->leak);
	struct leak_block block;

	for (size_t i = 0; i < count && m->out->blocks.len < most; i++)
		if (!push_block(m, groups[i].leader))
			return false;
	for (uint32_t i = 0; i < blocks; i++) {
		block_at(m, i, &block);
		m->out->block_count += block.class != LEAK_HELD;
		if (block.class == LEAK_LOST_THROUGH && m->out->blocks.len < most &&
		    !push_block(m, i))
			return false;
	}
	return true;
}

/* ---- who holds the others -------------------------------------------------- */

static uint32_t most_held(const struct findings *out)
{
	uint32_t best = 0;

	for (uint32_t id = 1; id < out->context_count; id++) {
		const struct findings_context *c = &out->contexts[id];

		if (!c->held_by && c->sums.held.bytes &&
		    (!best || c->sums.held.bytes > out->contexts[best].sums.held.bytes))
			best = id;
	}
	return best;
}

static bool make_paths(struct making *m)
{
	uint32_t count = leak_count(m->leak), id;
	struct leak_block block;
	VEC(uint32_t) blocks = {0};
	bool ok = true;

	for (size_t i = 0; ok && i < m->options->paths && (id = most_held(m->out)); i++) {
		vec_clear(&blocks);
		for (uint32_t k = 0; ok && k < count; k++) {
			block_at(m, k, &block);
			if (block.context == id && block.class == LEAK_HELD)
				ok = vec_push(&blocks, k);
		}
		if (ok)
			m->out->contexts[id].held_by =
				m->options->path(m->options->path_arg, blocks.at, blocks.len);
		ok = ok && m->out->contexts[id].held_by;
	}
	vec_deinit(&blocks);
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
	sum_up(m);
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
