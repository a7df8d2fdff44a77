/*
 * A look for leaks in a process on a machine that has no memory for it: heap/leak/ and what makes
 * findings of it are what runs there, too; only where the memory comes from differs.
 *
 *    client: picture <--- FETCH --- looker_memory.c <--- struct memory --- leak_create()
 *                    --- FETCHED -->
 *
 * The client may be anybody: so this is a process of its own, without rights (sandbox.h), with a
 * limit of memory and of time, which believes nothing and at whose end all is over.
 */
#include "serve/looker.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/cpu.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "heap/findings_bytes.h"
#include "report/inquiry.h"
#include "serve/looker_memory.h"
#include "serve/sandbox.h"

enum { SECONDS = 1200, WALL_SECONDS = 3600, TELL_MS = 500 };

struct looker {
	struct looker_wire wire;
	struct looker_memory memory;
	struct looker_view view; /* of the process */
	struct looker_view *files; /* of modules, as many as there are */
	uint64_t limit;
	uint8_t *text; /* the description */
	struct question question;
	const struct arch *arch;
	struct modules modules;
	struct leak_thread *threads;
	struct leak_live *live;
	taddr_t *confirmed;
	struct leak *leak;
	struct path_names names;
};

/* ---- what the client says of the process --------------------------------------------------- */

/* count records of `bytes` each, from number 0 on: visit has each message of them. */
static int records(struct looker *l, enum wire_wanted what, uint64_t count, uint64_t bytes,
		   bool (*visit)(struct looker *l, uint64_t at, struct cursor *c), struct err *err)
{
	for (uint64_t at = 0; at < count;) {
		uint64_t n = WIRE_MAX_FETCH / bytes < count - at ? WIRE_MAX_FETCH / bytes
								 : count - at;
		const struct wire_fetch fetch = {what, 0, at, n};
		struct cursor got = looker_fetch(&l->wire, &fetch);

		if (cursor_left(&got) != n * bytes)
			return err_set(err, -EINVAL, "the description of the process is damaged");
		for (; cursor_left(&got); at++)
			if (!visit(l, at, &got))
				return err_set(err, -EINVAL,
					       "the description of the process is damaged");
	}
	return 0;
}

static bool take_description(struct looker *l, uint64_t at, struct cursor *c)
{
	l->text[at] = cursor_u8(c);
	return true;
}

static bool take_live(struct looker *l, uint64_t at, struct cursor *c)
{
	struct fields f = {.in = *c, .reads = true};

	question_live(&f, &l->live[at]);
	*c = f.in;
	return !at || l->live[at].addr > l->live[at - 1].addr;
}

static bool take_confirmed(struct looker *l, uint64_t at, struct cursor *c)
{
	l->confirmed[at] = cursor_u64(c);
	return true;
}

/* Room for count of size bytes each, within the limit.  NULL: there is none. */
static void *take(struct looker *l, uint64_t count, size_t size)
{
	return count < l->limit / size ? calloc((size_t)count + 1, size) : NULL;
}

static int read_question(struct looker *l, uint64_t length, struct err *err)
{
	struct question *q = &l->question;
	int e;

	if (length > QUESTION_BYTES_MAX || !(l->text = take(l, length, 1)))
		return err_set(err, -ENOMEM, "there is no memory for the description");
	e = records(l, WIRE_WANTED_DESCRIPTION, length, 1, take_description, err);
	if (!e)
		e = question_read(l->text, (size_t)length, q, err);
	if (e)
		return e;
	l->live = take(l, q->live_count, sizeof(*l->live));
	l->confirmed = take(l, q->confirmed_count, sizeof(*l->confirmed));
	if (!l->live || !l->confirmed || q->context_count > l->limit / 256)
		return err_set(err, -ENOMEM, "there is no memory for all its blocks");
	e = records(l, WIRE_WANTED_LIVE, q->live_count, QUESTION_LIVE_BYTES, take_live, err);
	if (!e)
		e = records(l, WIRE_WANTED_CONFIRMED, q->confirmed_count,
			    QUESTION_ADDRESS_BYTES, take_confirmed, err);
	return e;
}

static int give_threads(struct looker *l)
{
	size_t count = l->question.threads.len;

	l->threads = calloc(count + 1, sizeof(*l->threads));
	for (size_t i = 0; l->threads && i < count; i++)
		l->threads[i] = l->question.threads.at[i].thread;
	return l->threads ? 0 : -ENOMEM;
}

/* Of a file, where it can be had; else of what the process has of it in memory. */
static int give_modules(struct looker *l)
{
	size_t count = l->question.modules.len;

	l->files = calloc(count + 1, sizeof(*l->files));
	for (size_t i = 0; l->files && i < count; i++) {
		struct question_module *m = &l->question.modules.at[i];

		looker_view_init(&l->files[i], &l->memory, m->module.instance);
		m->module.mapped = true;
		if (m->has_image && m->has_file)
			err_ignore(image_open(&l->files[i].memory, &m->module.image, NULL));
		else if (m->has_image)
			err_ignore(image_open_loaded(&l->view.memory, m->module.begin,
						     &m->module.image, NULL));
		if (!vec_push(&l->modules.mapped, &m->module))
			return -ENOMEM;
	}
	return l->files ? 0 : -ENOMEM;
}

/* ---- the look ------------------------------------------------------------------------------- */

static const char *thread_name(void *arg, int tid)
{
	const struct looker *l = arg;

	for (size_t i = 0; i < l->question.threads.len; i++)
		if (l->question.threads.at[i].thread.tid == tid)
			return l->question.threads.at[i].name;
	return NULL;
}

/* The client has the unwind data at hand. */
static bool frame_at(void *arg, int tid, taddr_t addr, const struct module **module,
		     uint64_t *vaddr)
{
	struct looker *l = arg;
	const struct wire_fetch what = {WIRE_WANTED_FRAME, (uint32_t)tid, addr, 0};
	struct cursor got = looker_fetch(&l->wire, &what);
	uint32_t instance = cursor_u32(&got);
	uint64_t at = cursor_u64(&got);

	for (size_t i = 0; !got.bad && i < l->modules.mapped.len; i++)
		if (l->modules.mapped.at[i]->instance == instance) {
			*module = l->modules.mapped.at[i];
			*vaddr = at;
			return true;
		}
	return false;
}

static bool tick(void *arg, enum leak_step step, uint64_t done, uint64_t total)
{
	struct looker *l = arg;

	if (clock_ms() - l->wire.told_at < TELL_MS)
		return true;
	l->wire.told_at = clock_ms();
	wire_write_progress(&l->wire.channel.out, l->wire.request,
			    &(struct wire_progress){done, total, leak_step_name(step)});
	looker_send(&l->wire);
	return true;
}

static int look(struct looker *l, struct err *err)
{
	const struct question *q = &l->question;
	struct leak_input input = {
		.memory = &l->view.memory,
		.present = looker_present,
		.present_arg = &l->memory,
		.maps = &q->maps,
		.modules = &l->modules,
		.thread_count = q->threads.len,
		.live = l->live,
		.live_count = (size_t)q->live_count,
		.survey = q->kind == QUESTION_HEAP,
		.memory_limit = l->limit / 2,
		.progress = tick,
		.progress_arg = l,
	};

	l->arch = arch_find(q->machine, q->elf_class, false);
	if (!l->arch || ARCH_HOST_BIG)
		return err_set(err, -ENOTSUP, "its architecture is not known here");
	l->memory.maps = &q->maps;
	l->memory.limit = l->limit / 2;
	if (give_threads(l) || give_modules(l))
		return err_set(err, -ENOMEM, "memory is short");
	input.threads = l->threads;
	input.cpu = (struct leak_cpu){l->arch->elf_machine, l->arch->word_size,
				      l->arch->pointer_tag_bits, l->arch->red_zone};
	l->names = (struct path_names){l->arch, thread_name, frame_at, l};
	return leak_create(&input, &l->leak, err);
}

/* ---- what is found ---------------------------------------------------------------------------- */

static char *path(void *arg, const uint32_t *blocks, size_t count)
{
	struct looker *l = arg;

	return path_text(&l->names, l->leak, blocks, count);
}

static void content(void *arg, uint32_t block, struct leak_content *ret)
{
	struct looker *l = arg;

	path_content_of(&l->names, l->leak, block, ret);
}

static int find(struct looker *l, struct fields *f, struct err *err)
{
	const struct question *q = &l->question;
	const struct findings_options options = {
		.context_count = q->context_count,
		.blocks = q->blocks < SIZE_MAX ? (size_t)q->blocks : 0,
		.paths = q->paths < 1000 ? q->paths : 1000,
		.confirmed = q->confirmed ? l->confirmed : NULL,
		.confirmed_count = (size_t)q->confirmed_count,
		.path = path,
		.path_arg = l,
		.content = content,
	};
	struct findings *findings;
	int e = findings_create(l->leak, &options, &findings, err);

	if (!e && !findings_write(f, findings))
		e = err_set(err, -ENOMEM, "memory is short");
	return e;
}

static int lost(struct looker *l, struct fields *f, struct err *err)
{
	struct findings_addrs addrs = {0};
	bool ok = findings_lost(l->leak, &addrs);

	for (size_t i = 0; i < addrs.len; i++)
		FIELD(f, addrs.at[i]);
	vec_deinit(&addrs);
	return ok && !f->bad ? 0 : err_set(err, -ENOMEM, "memory is short");
}

static int inquire(struct looker *l, struct fields *f, struct err *err)
{
	const struct question *q = &l->question;
	const struct inquiry inquiry = {
		.kind = (enum question_kind)q->kind,
		.address = q->address,
		.context = q->context,
		.survey = {l->leak, &q->maps, &l->modules, q->uses.at, q->uses.len, l->threads,
			   q->threads.len, q->mapped.at, q->mapped.len},
		.other = q->other[0] ? q->other : NULL,
		.rows = (size_t)q->blocks,
	};
	struct inquiry_found found;
	const char *said;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int e = out ? inquiry_answer(out, &inquiry, &l->names, l->leak, &l->view.memory, &found,
				     err)
		    : err_set(err, -ENOMEM, "memory is short");

	if (out)
		fclose(out);
	if (e)
		return e;
	said = text;
	FIELD(f, found.address);
	FIELD(f, found.context);
	fields_string(f, &said);
	return f->bad ? err_set(err, -ENOMEM, "memory is short") : 0;
}

static int answer(struct looker *l, uint64_t length, struct fields *f, struct err *err)
{
	int e = read_question(l, length, err);

	if (!e)
		e = look(l, err);
	if (e)
		return e;
	return l->question.kind == QUESTION_FINDINGS ? find(l, f, err)
	       : l->question.kind == QUESTION_LOST   ? lost(l, f, err)
						     : inquire(l, f, err);
}

static void say(struct looker *l, const struct fields *f)
{
	size_t at = 0;

	do {
		size_t n = f->bytes.len - at < WIRE_MAX_FETCH ? f->bytes.len - at
							      : WIRE_MAX_FETCH;

		wire_write_bytes(&l->wire.channel.out, l->wire.request, WIRE_FOUND,
				 at + n < f->bytes.len, f->bytes.at + at, n);
		looker_send(&l->wire);
		at += n;
	} while (at < f->bytes.len);
}

_Noreturn void looker_main(int socket, int alive, uint32_t request, uint64_t length, uint64_t limit)
{
	struct looker *l = calloc(1, sizeof(*l));
	struct fields found = {0};
	struct err err;
	int e;

	descriptors_close_but(socket, alive);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGINT, SIG_IGN); /* the server's */
	alarm(WALL_SECONDS);
	sandbox_enter();
	sandbox_allow_seconds(SECONDS);
	if (!l || channel_init(&l->wire.channel, socket, NULL))
		looker_gone();
	l->wire.channel.peer = WIRE_CLIENT;
	l->wire.request = request;
	l->wire.told_at = clock_ms();
	l->memory.wire = &l->wire;
	l->limit = limit;
	looker_view_init(&l->view, &l->memory, 0);
	e = answer(l, length, &found, &err);
	if (!e && found.bytes.len > WIRE_MAX_FOUND)
		e = err_set(&err, -EMSGSIZE, "there is more to say than fits: -n bounds it");
	if (e)
		wire_write_error(&l->wire.channel.out, request,
				 e == -EAGAIN	? WIRE_CODE_AGAIN
				 : e == -ENOMEM ? WIRE_CODE_MEMORY
						: WIRE_CODE_UNSUPPORTED,
				 err.text);
	if (e)
		looker_send(&l->wire);
	else
		say(l, &found);
	_exit(0);
}
