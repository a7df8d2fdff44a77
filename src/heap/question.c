/* A question as bytes; see question.h.  Whoever reads one trusts nothing of it. */
#include "heap/question.h"

#include <errno.h>
#include <string.h>

/* (what heap/leak/ can number: of a thread, ROOT_WORDS and ROOT_EXTRA; and of threads, as all their
 * words are numbered in 32 bits) */
enum { REGS_MAX = 255, EXTRA_MAX = 64 << 10, THREADS_MAX = 1 << 17 };

static void mapping(struct fields *f, struct mapping *m)
{
	uint8_t flags = (uint8_t)(m->read | m->write << 1 | m->exec << 2 | m->shared << 3 |
				  m->deleted << 4);

	FIELD(f, m->begin);
	FIELD(f, m->end);
	FIELD(f, m->offset);
	FIELD(f, m->dev);
	FIELD(f, m->inode);
	FIELD(f, flags);
	fields_string(f, &m->path);
	m->read = flags & 1;
	m->write = flags & 2;
	m->exec = flags & 4;
	m->shared = flags & 8;
	m->deleted = flags & 16;
}

static void module(struct fields *f, struct question_module *m)
{
	FIELD(f, m->module.instance);
	FIELD(f, m->module.begin);
	FIELD(f, m->module.end);
	FIELD(f, m->module.bias);
	fields_flag(f, &m->module.vdso);
	fields_flag(f, &m->has_file);
	fields_flag(f, &m->has_image);
	fields_string(f, &m->module.id.path);
}

static void registers(struct fields *f, struct question_thread *t)
{
	uint16_t count = (uint16_t)t->thread.reg_count;

	FIELD(f, count);
	if (f->reads) {
		f->bad |= count > REGS_MAX;
		t->regs = f->bad ? NULL : calloc(count + 1u, sizeof(*t->regs));
		f->bad |= !t->regs;
		t->thread.regs = t->regs;
		t->thread.reg_count = count;
	}
	for (unsigned i = 0; i < count && !f->bad; i++)
		FIELD(f, t->regs[i]);
}

static void thread(struct fields *f, struct question_thread *t)
{
	FIELD(f, t->thread.tid);
	FIELD(f, t->thread.sp);
	FIELD(f, t->thread.tp);
	fields_flag(f, &t->thread.in_syscall);
	FIELD_TEXT(f, t->name);
	registers(f, t);
	fields_bytes(f, &t->extra, &t->thread.extra_len);
	t->thread.extra = t->extra;
	f->bad |= t->thread.extra_len > EXTRA_MAX;
}

static void use(struct fields *f, struct mapping_use *u)
{
	FIELD(f, u->range.begin);
	FIELD(f, u->range.end);
	FIELD(f, u->resident);
	FIELD(f, u->swapped);
}

static void mapped(struct fields *f, struct mapped_range *m)
{
	FIELD(f, m->begin);
	FIELD(f, m->end);
	FIELD(f, m->context);
	FIELD(f, m->time);
}

static void all(struct fields *f, struct question *q)
{
	FIELD(f, q->kind);
	FIELD(f, q->machine);
	FIELD(f, q->elf_class);
	FIELD(f, q->context_count);
	FIELD(f, q->blocks);
	FIELD(f, q->paths);
	FIELD(f, q->address);
	FIELD(f, q->context);
	fields_string(f, &q->other);
	FIELD(f, q->live_count);
	fields_flag(f, &q->confirmed);
	FIELD(f, q->confirmed_count);
	FIELD_LIST(f, &q->maps.list, mapping);
	FIELD_LIST(f, &q->modules, module);
	FIELD_LIST(f, &q->threads, thread);
	FIELD_LIST(f, &q->uses, use);
	FIELD_LIST(f, &q->mapped, mapped);
}

bool question_write(struct fields *fields, struct question *question)
{
	all(fields, question);
	return fields_end(fields);
}

void question_live(struct fields *f, struct leak_live *live)
{
	FIELD(f, live->addr);
	FIELD(f, live->size);
	FIELD(f, live->context);
}

/* ---- what was read ------------------------------------------------------------------ */

static bool maps_are_sound(const struct question *q)
{
	taddr_t end = 0;

	for (size_t i = 0; i < q->maps.list.len; i++) {
		const struct mapping *m = &q->maps.list.at[i];

		if (m->begin < end || m->end <= m->begin)
			return false;
		end = m->end;
	}
	return true;
}

static bool modules_are_sound(const struct question *q)
{
	taddr_t end = 0;

	for (size_t i = 0; i < q->modules.len; i++) {
		const struct module *m = &q->modules.at[i].module;

		if (m->begin < end || m->end <= m->begin)
			return false;
		end = m->end;
	}
	return true;
}

static bool uses_are_sound(const struct question *q)
{
	taddr_t end = 0;

	for (size_t i = 0; i < q->uses.len; i++) {
		const struct range *r = &q->uses.at[i].range;

		if (r->begin < end || r->end <= r->begin)
			return false;
		end = r->end;
	}
	for (size_t i = 0; i < q->mapped.len; i++)
		if (q->mapped.at[i].end <= q->mapped.at[i].begin ||
		    (i && q->mapped.at[i].end > q->mapped.at[i - 1].begin))
			return false;
	return true;
}

int question_read(const uint8_t *bytes, size_t len, struct question *ret, struct err *err)
{
	struct fields f = fields_over(bytes, len);

	memset(ret, 0, sizeof(*ret));
	all(&f, ret);
	if (fields_end(&f) && ret->kind >= QUESTION_FINDINGS && ret->kind <= QUESTION_HEAP &&
	    ret->threads.len <= THREADS_MAX && maps_are_sound(ret) && modules_are_sound(ret) &&
	    uses_are_sound(ret))
		return 0;
	question_deinit(ret, true);
	return err_set(err, -EINVAL, "the description of the process is damaged");
}

void question_deinit(struct question *q, bool read)
{
	for (size_t i = 0; read && i < q->threads.len; i++) {
		free(q->threads.at[i].regs);
		free(q->threads.at[i].extra);
	}
	vec_deinit(&q->maps.list);
	vec_deinit(&q->modules);
	vec_deinit(&q->threads);
	vec_deinit(&q->uses);
	vec_deinit(&q->mapped);
}
