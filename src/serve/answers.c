/*
 * Messages of one client, as far as they are about modules; where they come from and how many
 * clients there are is the server's.  The table below is the whole repertoire.
 */
#include "serve/answers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_MODULES = 4096 }; /* of one client */

void client_deinit(struct client *c)
{
	for (size_t i = 0; i < c->modules.len; i++)
		module_cache_put(&c->library->cache, c->modules.at[i]);
	vec_deinit(&c->modules);
	wire_out_deinit(&c->out);
}

/* "what: more" */
static void tell(struct client *c, bool warning, const char *what, const char *more)
{
	char text[2048];

	snprintf(text, sizeof(text), "%s: %s", what, more);
	c->library->tell(c->library->arg, warning, text);
}

/* While something takes long: the client may be near its time limit. */
static void send_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct client *c = arg;

	wire_write_progress(&c->out, c->request, &(struct wire_progress){done, total, what});
	c->library->flush(c->library->arg, c);
}

/* Whether it is under one of the client's handles. */
static bool has(const struct client *c, const struct debuginfo *info)
{
	for (size_t i = 0; i < c->modules.len; i++)
		if (c->modules.at[i] == info)
			return true;
	return false;
}

/* Puts info (may be NULL) under a handle, in place of what stood there. */
static int store(struct client *c, uint32_t handle, struct debuginfo *info, struct err *err)
{
	struct debuginfo *before;

	if (!vec_reserve(&c->modules, (size_t)handle + 1)) {
		module_cache_put(&c->library->cache, info);
		return err_set(err, -ENOMEM, "no memory for a module");
	}
	while (c->modules.len <= handle)
		c->modules.at[c->modules.len++] = NULL;
	before = c->modules.at[handle];
	c->different += info && !has(c, info);
	c->modules.at[handle] = info;
	c->different -= before && !has(c, before);
	module_cache_put(&c->library->cache, before);
	return 0;
}

/* The module, if the client may have it besides those that it has. */
static int take(struct client *c, const struct search_for *who,
		const struct debuginfo_options *options, struct debuginfo **ret,
		struct err *err)
{
	int e = module_cache_take(&c->library->cache, who, options, ret, err);

	if (e || c->different < MAX_MODULES || has(c, *ret))
		return e;
	module_cache_put(&c->library->cache, *ret);
	return err_set(err, -EMFILE, "no more than %d different modules are served to one",
		       MAX_MODULES);
}

static int on_module(struct client *c, const struct wire_message *message, struct err *err)
{
	struct debuginfo_options options = c->library->options;
	struct wire_module_info answer;
	struct wire_module module;
	struct debuginfo *info;
	struct search_for who;
	int e = wire_read_module(message, &module, err);

	if (e)
		return e;
	options.progress = send_progress;
	options.progress_arg = c;
	who = (struct search_for){
		.id = module.id,
		/* Another machine's process numbers mean nothing here. */
		.pid = options.dirs.local ? module.pid : 0,
	};
	e = take(c, &who, &options, &info, err);
	if (e) { /* nor does the handle stand for what it stood for */
		if (module.handle < c->modules.len)
			store(c, module.handle, NULL, NULL);
		return e;
	}
	e = store(c, module.handle, info, err);
	if (e)
		return e;
	answer = (struct wire_module_info){module.handle, debuginfo_names(info),
					   debuginfo_source(info), debuginfo_remark(info)};
	wire_write_module_info(&c->out, message->request, &answer);
	tell(c, false, module.id.path, answer.source ? answer.source : "no names");
	if (answer.remark)
		tell(c, true, module.id.path, answer.remark);
	return 0;
}

/* Begins the answer of `type` about the module of a handle.  NULL: there is none, and the
 * request has been answered. */
static struct debuginfo *begin(struct client *c, const struct wire_message *message,
			       enum wire_type type, uint32_t handle, struct wire_answer *answer)
{
	struct debuginfo *info = handle < c->modules.len ? c->modules.at[handle] : NULL;

	if (info)
		wire_answer_begin(answer, &c->out, message->request, type, handle);
	else
		wire_write_error(&c->out, message->request, WIRE_CODE_MODULE,
				 "no module of this number was introduced");
	return info;
}

static void answer_frames(struct debuginfo *info, uint64_t vaddr, struct wire_answer *answer)
{
	struct wire_frame frames[WIRE_MAX_INLINED];
	size_t count = debuginfo_frames(info, vaddr, frames, WIRE_MAX_INLINED);

	wire_answer_frames(answer, frames, count);
}

static int on_lookup(struct client *c, const struct wire_message *message, struct err *err)
{
	struct wire_numbers numbers;
	struct wire_answer answer;
	struct debuginfo *info;
	int e = wire_read_numbers(message, &numbers, err);

	info = e ? NULL : begin(c, message, WIRE_FRAMES, numbers.handle, &answer);
	if (!info)
		return e;
	for (uint32_t i = 0; i < numbers.count; i++)
		answer_frames(info, wire_number(&numbers, i), &answer);
	wire_answer_end(&answer);
	return 0;
}

static int on_symbols(struct client *c, const struct wire_message *message, struct err *err)
{
	struct wire_names_list names;
	struct wire_answer answer;
	struct debuginfo *info;
	int e = wire_read_symbols(message, &names, err);

	info = e ? NULL : begin(c, message, WIRE_VALUES, names.handle, &answer);
	if (!info)
		return e;
	for (uint32_t i = 0; i < names.count; i++) {
		uint64_t value = 0, size = 0;
		debuginfo_symbol(info, wire_next_text(&names.texts), &value, &size);
		wire_answer_value(&answer, value, size);
	}
	wire_answer_end(&answer);
	return 0;
}

struct unwind_answer {
	struct wire_answer answer;
	uint32_t count;
};

static bool answer_unwind(void *arg, uint64_t vaddr, const struct row *row)
{
	struct unwind_answer *unwind = arg;

	wire_answer_unwind(&unwind->answer, vaddr, row);
	return ++unwind->count == WIRE_MAX_UNWIND;
}

static int on_unwind(struct client *c, const struct wire_message *message, struct err *err)
{
	struct unwind_answer unwind = {};
	struct wire_range range;
	struct debuginfo *info;
	int e = wire_read_range(message, &range, err);

	info = e ? NULL : begin(c, message, WIRE_UNWIND_TABLE, range.handle, &unwind.answer);
	if (!info)
		return e;
	debuginfo_unwind(info, range.begin, range.end, answer_unwind, &unwind);
	wire_answer_end(&unwind.answer);
	return 0;
}

static int on_rules(struct client *c, const struct wire_message *message, struct err *err)
{
	struct cfi_bytes bytes = {};
	struct wire_answer answer;
	struct wire_range range;
	struct debuginfo *info;
	int e = wire_read_range(message, &range, err);

	info = e ? NULL : begin(c, message, WIRE_RULE_TABLE, range.handle, &answer);
	if (!info)
		return e;
	debuginfo_rules(info, range.begin, range.end, WIRE_MAX_RULES, &bytes);
	wire_answer_bytes(&answer, bytes.at, bytes.len);
	wire_answer_end(&answer);
	vec_deinit(&bytes);
	return 0;
}

static int (*const answers[])(struct client *, const struct wire_message *, struct err *) = {
	[WIRE_MODULE] = on_module, [WIRE_LOOKUP] = on_lookup, [WIRE_SYMBOLS] = on_symbols,
	[WIRE_UNWIND] = on_unwind, [WIRE_RULES] = on_rules,
};

bool client_is_asking(uint16_t type)
{
	return type < ARRAY_SIZE(answers) && answers[type];
}

/* It may pass, and is no fault of the client's: the connection stays. */
static bool is_shortage(int e)
{
	return e == -ENOMEM || e == -EMFILE;
}

int client_answer(struct client *c, const struct wire_message *message)
{
	struct err err;
	int e;

	c->request = message->request;
	e = answers[message->type](c, message, &err);
	if (!e)
		return 0;
	wire_write_error(&c->out, message->request,
			 is_shortage(e) ? WIRE_CODE_MEMORY : WIRE_CODE_PROTOCOL, err.text);
	tell(c, false, is_shortage(e) ? "a client is refused" : "a client is sent away",
	     err.text);
	return is_shortage(e) ? -EAGAIN : -EPROTO;
}
