/*
 * Modules that a worker died of.  Whoever asks for one of them gets the reason for an answer,
 * and no worker is lost again, until some minutes have gone: the file may be another by then.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "serve/workers_parts.h"

enum { CRASH_MS = 300000 };

/* What identifies a module in its message: all but the handle. */
static const uint8_t *key_of(const struct introduced *module, size_t *len)
{
	const size_t head = WIRE_HEADER + 4;

	*len = module->len - head;
	return module->message + head;
}

const struct crash *crash_find(const struct workers *workers, const struct introduced *module)
{
	size_t len;
	const uint8_t *key = key_of(module, &len);

	for (size_t i = 0; i < ARRAY_SIZE(workers->crashes); i++) {
		const struct crash *crash = &workers->crashes[i];
		if (crash->key && crash->len == len && !memcmp(crash->key, key, len) &&
		    clock_ms() - crash->at < CRASH_MS)
			return crash;
	}
	return NULL;
}

void crash_add(struct workers *workers, const struct introduced *module, const int *status)
{
	struct crash *crash =
		&workers->crashes[workers->crash_count++ % ARRAY_SIZE(workers->crashes)];
	const uint8_t *key = key_of(module, &crash->len);
	int signo = status && WIFSIGNALED(*status) ? WTERMSIG(*status) : 0;

	free(crash->key);
	crash->key = malloc(crash->len);
	if (!crash->key)
		return;
	memcpy(crash->key, key, crash->len);
	crash->at = clock_ms();
	if (!status)
		snprintf(crash->words, sizeof(crash->words),
			 "the file system of its debug information does not answer");
	else if (signo == SIGXCPU)
		snprintf(crash->words, sizeof(crash->words),
			 "its debug information took too long to read");
	else
		snprintf(crash->words, sizeof(crash->words),
			 "its debug information made the reader crash (%s)",
			 signo ? strsignal(signo) : "it has ended");
}

/* Answers for the worker that the module has ended, or would end. */
void crash_answer(struct workers *workers, struct customer *c, const struct introduced *module,
		  const char *words)
{
	struct wire_message message, introduction;
	struct wire_module who = {.id.path = "?"};
	char text[1024];

	if (!customer_message(c->question, c->len, &message) ||
	    !customer_message(module->message, module->len, &introduction))
		return customer_done(c);
	err_ignore(wire_read_module(&introduction, &who, NULL)); /* its path is "?" */
	snprintf(text, sizeof(text), "%.700s: %s", who.id.path, words);
	if (c->introduces)
		wire_write_module_info(
			c->out, message.request,
			&(struct wire_module_info){.handle = c->handle, .remark = text});
	else
		wire_write_error(c->out, message.request, WIRE_CODE_FILE, text);
	workers->tell(workers->arg, true, text);
	customer_done(c);
}
