/*
 * Findings as bytes; see findings_bytes.h.  Contexts are as many as the asker has, most of them
 * with nothing: those that have something are listed by their ids.
 */
#include "heap/findings_bytes.h"

#include <errno.h>
#include <string.h>

static void sum(struct fields *f, struct leak_sum *s)
{
	FIELD(f, s->blocks);
	FIELD(f, s->bytes);
}

static void sums(struct fields *f, struct findings_sums *s)
{
	sum(f, &s->lost);
	sum(f, &s->through);
	sum(f, &s->held);
	sum(f, &s->perhaps);
}

static void content(struct fields *f, struct leak_content *c)
{
	FIELD(f, c->kind);
	FIELD(f, c->pointers);
	FIELD_TEXT(f, c->text);
	f->bad |= c->kind > LEAK_UNKNOWN;
}

static void finding(struct fields *f, struct finding *x)
{
	FIELD(f, x->context);
	content(f, &x->content);
	FIELD(f, x->size);
	sums(f, &x->sums);
	sum(f, &x->along);
	FIELD(f, x->shape);
	FIELD(f, x->example);
	FIELD(f, x->through);
	f->bad |= x->shape > LEAK_TREE;
}

static void block(struct fields *f, struct findings_block *b)
{
	FIELD(f, b->block.addr);
	FIELD(f, b->block.size);
	FIELD(f, b->block.class);
	fields_flag(f, &b->block.interior);
	FIELD(f, b->block.leader);
	FIELD(f, b->block.context);
	FIELD(f, b->block.asked);
	FIELD(f, b->leader);
	fields_flag(f, &b->perhaps);
	content(f, &b->content);
	f->bad |= b->block.class >= LEAK_CLASSES;
}

static void allocator(struct fields *f, struct leak_allocator *a)
{
	FIELD_TEXT(f, a->name);
	FIELD_TEXT(f, a->version);
	FIELD(f, a->module);
	fields_flag(f, &a->read);
	FIELD_TEXT(f, a->why);
	sum(f, &a->used);
	sum(f, &a->cached);
	FIELD(f, a->arenas);
	FIELD(f, a->in_flight);
}

static void totals(struct fields *f, struct leak_totals *t)
{
	for (unsigned i = 0; i < LEAK_CLASSES; i++)
		sum(f, &t->classes[i]);
	sum(f, &t->interior);
	FIELD(f, t->scanned_bytes);
	FIELD(f, t->root_bytes);
	FIELD(f, t->unread_bytes);
	FIELD(f, t->edges);
	FIELD(f, t->root_edges);
	FIELD(f, t->own_bytes);
	FIELD(f, t->live_found);
	FIELD(f, t->live_missed);
	fields_flag(f, &t->traced_only);
}

static void context(struct fields *f, struct findings_context *c, size_t findings)
{
	const char *held_by = c->held_by;
	bool held = held_by != NULL;

	sums(f, &c->sums);
	FIELD(f, c->finding);
	fields_flag(f, &held);
	if (held)
		fields_string(f, &held_by);
	f->bad |= c->finding > findings;
	if (held && f->reads) {
		free(c->held_by); /* (one that is there twice) */
		c->held_by = strdup(held_by);
		f->bad |= !c->held_by;
	}
}

static bool has_something(const struct findings_context *c)
{
	static const struct findings_sums nothing;

	return c->held_by || c->finding || memcmp(&c->sums, &nothing, sizeof(nothing));
}

/* [id | context], 0 behind the last one. */
static void contexts(struct fields *f, struct findings *x)
{
	uint32_t id = 0, end = 0;

	for (; !f->reads && id < x->context_count; id++) {
		uint32_t number = id + 1;

		if (!has_something(&x->contexts[id]))
			continue;
		FIELD(f, number);
		context(f, &x->contexts[id], x->list.len);
	}
	if (!f->reads) {
		FIELD(f, end);
		return;
	}
	for (FIELD(f, id); id && !f->bad; FIELD(f, id)) {
		if (id > x->context_count)
			f->bad = true;
		else
			context(f, &x->contexts[id - 1], x->list.len);
	}
}

static void all(struct fields *f, struct findings *x)
{
	fields_flag(f, &x->confirmed);
	totals(f, &x->totals);
	sums(f, &x->all);
	sums(f, &x->before);
	FIELD(f, x->block_count);
	FIELD_LIST(f, &x->list, finding);
	FIELD_LIST(f, &x->blocks, block);
	FIELD_LIST(f, &x->allocators, allocator);
	contexts(f, x);
}

bool findings_write(struct fields *fields, const struct findings *findings)
{
	struct findings shown = *findings; /* (writing changes nothing) */

	all(fields, &shown);
	return fields_end(fields);
}

static bool is_sound(const struct findings *x)
{
	for (size_t i = 0; i < x->list.len; i++)
		if (x->list.at[i].context >= x->context_count ||
		    x->list.at[i].through >= x->context_count)
			return false;
	return true;
}

int findings_read(const uint8_t *bytes, size_t len, uint32_t context_count,
		  struct findings **ret, struct err *err)
{
	struct fields f = fields_over(bytes, len);
	struct findings *x = calloc(1, sizeof(*x));

	if (!x)
		return err_set(err, -ENOMEM, "memory is short");
	x->context_count = context_count ? context_count : 1;
	x->contexts = calloc(x->context_count, sizeof(*x->contexts));
	if (x->contexts)
		all(&f, x);
	if (x->contexts && fields_end(&f) && is_sound(x)) {
		*ret = x;
		return 0;
	}
	findings_destroy(x);
	return err_set(err, -EINVAL, "what was found is damaged");
}
