/* A look elsewhere; see leak_remote.h.  The answers here trust nobody: a length is bounded by room,
 * and what is asked for is of the picture, or of files that the process maps. */
#include "cli/leak_remote.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/leak_limit.h"
#include "report/head.h"
#include "report/utf8.h"

enum { EVERY_MS = 100, PIECES = 1024 };

struct asked {
	struct leak_scan *scan;
	struct fields description;
	const struct findings_addrs *confirmed;
	uint64_t sent;
	int64_t told_at;
};

bool leak_remote_can(const struct leak_scan *scan)
{
	const struct server_link *link = scan->options.link;

	/* (a process that stands still would do so for as long as a network and a server please;
	 * one that is about to end waits anyway) */
	if (scan->look->stopped && !scan->options.at_end)
		return false;
	return link && server_link_is_chosen(link) && link->resolver &&
	       resolver_is_alive(link->resolver, NULL);
}

/* ---- what memtrace-fs wants ---------------------------------------------------------------- */

static size_t put(struct fields *f, uint8_t *buf)
{
	size_t len = f->bad || f->bytes.len > WIRE_MAX_FETCH ? 0 : f->bytes.len;

	if (len)
		memcpy(buf, f->bytes.at, len);
	fields_deinit(f);
	return len;
}

static size_t read_from(struct memory *memory, const struct wire_fetch *w, uint8_t *buf)
{
	return memory && !memory_read(memory, w->at, buf, (size_t)w->size) ? (size_t)w->size : 0;
}

/* Of one mapping.  What has no content is not read: that would give the copy pages. */
static size_t memory(struct asked *a, const struct wire_fetch *w, uint8_t *buf)
{
	struct picture *picture = a->scan->look->picture;
	const struct mapping *mapping = maps_find(&picture->maps, w->at);
	taddr_t at = w->at, end = w->at + w->size;
	struct range piece;

	if (!mapping || !mapping->read || mapping->end - at < w->size)
		return 0;
	memset(buf, 0, (size_t)w->size);
	for (; at < end && picture_present(picture, at, end, &piece); at = piece.end)
		if (memory_read(&picture->memory, piece.begin, buf + (piece.begin - w->at),
				(size_t)(piece.end - piece.begin)))
			return 0;
	return (size_t)w->size;
}

static size_t file(struct asked *a, const struct wire_fetch *w, uint8_t *buf)
{
	const struct module *module = modules_by_instance(&a->scan->modules, w->of);

	return module && module_has_file(module) ? read_from(module->source, w, buf) : 0;
}

static size_t present(struct asked *a, const struct wire_fetch *w, uint8_t *buf)
{
	taddr_t at = w->at, end = w->at + w->size;
	struct fields f = {0};
	struct range piece;

	for (int i = 0; i < PIECES && at < end &&
			picture_present(a->scan->look->picture, at, end, &piece);
	     i++) {
		FIELD(&f, piece.begin);
		FIELD(&f, piece.end);
		at = piece.end;
	}
	return put(&f, buf);
}

static size_t frame(struct asked *a, const struct wire_fetch *w, uint8_t *buf)
{
	const struct module *module;
	struct fields f = {0};
	uint64_t vaddr;
	uint32_t instance;

	if (!a->scan->stacks ||
	    !leak_stacks_find(a->scan->stacks, (int)w->of, w->at, &module, &vaddr))
		return 0;
	instance = module->instance;
	FIELD(&f, instance);
	FIELD(&f, vaddr);
	return put(&f, buf);
}

static size_t records(struct asked *a, const struct wire_fetch *w, uint8_t *buf)
{
	bool live = w->what == WIRE_WANTED_LIVE;
	size_t count = live	      ? a->scan->look->live.len
		       : a->confirmed ? a->confirmed->len
				      : 0;
	struct fields f = {0};

	/* (more than fits is not gathered: put() gives nothing then) */
	for (uint64_t i = w->at; i < count && i - w->at < w->size &&
				 f.bytes.len <= WIRE_MAX_FETCH && !f.bad;
	     i++) {
		if (live)
			question_live(&f, &a->scan->live[i]);
		else
			FIELD(&f, a->confirmed->at[i]);
	}
	return put(&f, buf);
}

static size_t description(struct asked *a, const struct wire_fetch *w, uint8_t *buf)
{
	size_t len = a->description.bytes.len;

	if (w->at > len || w->size > len - w->at)
		return 0;
	memcpy(buf, a->description.bytes.at + w->at, (size_t)w->size);
	return (size_t)w->size;
}

static size_t fetch(void *arg, const struct wire_fetch *w, uint8_t *buf)
{
	struct asked *a = arg;
	size_t len = 0;

	if (w->what == WIRE_WANTED_PRESENT)
		len = present(a, w, buf);
	else if (w->what == WIRE_WANTED_FRAME)
		len = frame(a, w, buf);
	else if (w->size > WIRE_MAX_FETCH)
		return 0;
	else if (w->what == WIRE_WANTED_MEMORY)
		len = memory(a, w, buf);
	else if (w->what == WIRE_WANTED_FILE)
		len = file(a, w, buf);
	else if (w->what == WIRE_WANTED_DESCRIPTION)
		len = description(a, w, buf);
	else if (w->what == WIRE_WANTED_LIVE || w->what == WIRE_WANTED_CONFIRMED)
		len = records(a, w, buf);
	a->sent += len;
	return len;
}

static bool wanted(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct asked *a = arg;
	const struct leak_scan_options *options = &a->scan->options;

	if (what || clock_ms() - a->told_at >= EVERY_MS) {
		a->told_at = clock_ms();
		(void)done;
		(void)total;
		output_progress(options->output, "sending memory", (size_t)(a->sent >> 10),
				(size_t)(a->scan->resident >> 10) + 1);
	}
	return leak_limit_goes_on(a->scan);
}

/* ---- the description ----------------------------------------------------------------------- */

static bool give_modules(const struct leak_scan *scan, struct question *q)
{
	for (size_t i = 0; i < scan->modules.mapped.len; i++) {
		const struct module *m = scan->modules.mapped.at[i];
		const struct question_module given = {.module = *m,
						      .has_file = module_has_file(m),
						      .has_image = m->image != NULL};

		if (!vec_push(&q->modules, given))
			return false;
	}
	return true;
}

static bool give_threads(const struct leak_scan *scan, struct question *q)
{
	const struct picture *picture = scan->look->picture;

	for (size_t i = 0; i < picture->threads.len; i++) {
		const struct picture_thread *t = &picture->threads.at[i];
		struct question_thread given = {.thread = scan->threads[i],
						.regs = t->registers,
						.extra = t->vectors};

		memcpy(given.name, t->name, sizeof(given.name));
		if (!vec_push(&q->threads, given))
			return false;
	}
	return true;
}

/* (What is the scan's is borrowed: maps, uses, mappings.) */
static bool describe(const struct leak_scan *scan, struct question *q, struct fields *ret)
{
	const struct look *look = scan->look;
	bool ok = give_modules(scan, q) && give_threads(scan, q);

	q->machine = look->picture->arch->elf_machine;
	q->elf_class = look->picture->arch->elf_class;
	q->live_count = look->live.len;
	q->maps = look->picture->maps;
	memcpy(&q->uses, &look->picture->look.uses, sizeof(q->uses));
	q->mapped.at = look->snapshot->mappings;
	q->mapped.len = look->snapshot->mapping_count;
	ok = ok && question_write(ret, q);
	vec_deinit(&q->modules);
	vec_deinit(&q->threads);
	return ok;
}

int leak_remote_ask(struct leak_scan *scan, struct question *q,
		    const struct findings_addrs *confirmed, struct resolver_found *ret,
		    struct err *err)
{
	struct asked asked = {.scan = scan, .confirmed = confirmed, .told_at = clock_ms()};
	struct resolver_look look = {.fetch = fetch, .wanted = wanted, .arg = &asked};
	struct err why;
	int rc;

	q->confirmed = confirmed != NULL;
	q->confirmed_count = confirmed ? confirmed->len : 0;
	if (!describe(scan, q, &asked.description))
		return err_set(err, -ENOMEM, "memory is short");
	look.length = asked.description.bytes.len;
	look.most = scan->available / 4; /* (read, it takes four times as much) */
	rc = resolver_look(scan->options.link->resolver, &look, ret, &why);
	output_progress(scan->options.output, "", 0, 0);
	fields_deinit(&asked.description);
	if (rc)
		err_set(err, rc, "%.150s, and memtrace-fs can't look in place of this machine: %s",
			scan->why, why.text);
	return leak_limit_tell(scan, rc, err);
}

/* ---- an answer in text ----------------------------------------------------------------------- */

/* Line by line, as whoever wrote it is not known. */
static void print_lines(FILE *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char *line = strndup(text, len);

		utf8_print(out, line ? line : "");
		free(line);
		text += len;
		if (*text)
			putc(*text++, out);
	}
}

int leak_remote_text(struct leak_scan *scan, const struct inquiry *inquiry, FILE *out,
		     struct inquiry_found *ret, struct err *err)
{
	struct question q = {.kind = (uint8_t)inquiry->kind,
			     .address = inquiry->address,
			     .context = inquiry->context,
			     .other = inquiry->other,
			     .blocks = inquiry->rows};
	struct resolver_found found = {0};
	const char *text = "";
	struct fields f;
	int rc = leak_remote_ask(scan, &q, NULL, &found, err);

	f = fields_over(found.at, found.len);
	FIELD(&f, ret->address);
	FIELD(&f, ret->context);
	fields_string(&f, &text);
	if (!rc && !fields_end(&f))
		rc = err_set(err, -EPROTO, "the answer of memtrace-fs is damaged");
	if (!rc)
		print_lines(out, text);
	vec_deinit(&found);
	return rc;
}
