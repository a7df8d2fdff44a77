/*
 * What the tracer thread says to the other one: notices (capture.h), and what is not followed,
 * which is kept for reports, too.
 */
#ifndef MEMTRACE_NOTIFY_H
#define MEMTRACE_NOTIFY_H

#include "capture/capture.h"
#include "capture/missed.h"
#include "elf/module.h"

struct notifier {
	void (*notify)(void *arg, enum notice_kind kind, const char *text);
	void *arg;
	struct missed missed; /* by this program */
	VEC(char *) left;     /* what stays of us in it */
};

void notify(const struct notifier *notifier, enum notice_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* NOTICE_WARNING, NOTICE_STEP; `notifier` is a struct notifier, for struct hook_notes. */
void notify_warning(const struct notifier *notifier, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void notify_step(void *notifier, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A function of the module, or NULL: all of it, is not followed: said once, and kept. */
void notify_missed(void *notifier, const struct module *module, const char *function,
		   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* What stays in the process when we leave: a warning, and kept. */
void notify_left(struct notifier *notifier, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void notify_deinit(struct notifier *notifier);

#endif
