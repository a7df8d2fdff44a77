/* Notices from printf()'s formats; see notify.h. */
#include "capture/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hook/functions.h"

static void pass_on(const struct notifier *notifier, enum notice_kind kind, const char *format,
		    va_list args)
{
	char text[sizeof(((struct notice *)0)->text)];

	vsnprintf(text, sizeof(text), format, args);
	notifier->notify(notifier->arg, kind, text);
}

void notify(const struct notifier *notifier, enum notice_kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	pass_on(notifier, kind, format, args);
	va_end(args);
}

void notify_warning(const struct notifier *notifier, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	pass_on(notifier, NOTICE_WARNING, format, args);
	va_end(args);
}

void notify_step(void *notifier, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	pass_on(notifier, NOTICE_STEP, format, args);
	va_end(args);
}

void notify_missed(void *arg, const struct module *module, const char *function,
		   const char *format, ...)
{
	struct notifier *notifier = arg;
	char reason[sizeof(((struct err *)0)->text)];
	va_list args;

	if (function && !strcmp(function, FUNCTIONS_JIT))
		return;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	if (missed_add(&notifier->missed, module->id.path, function, reason))
		notify_warning(notifier, "not followed: %s%s%s: %s", function ? function : "",
			       function ? " in " : "", module->id.path, reason);
}

void notify_left(struct notifier *notifier, const char *format, ...)
{
	char text[sizeof(((struct notice *)0)->text)];
	va_list args;
	char *kept;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	notify_warning(notifier, "%s", text);
	kept = strdup(text);
	if (kept && !vec_push(&notifier->left, kept))
		free(kept);
}

void notify_deinit(struct notifier *notifier)
{
	missed_deinit(&notifier->missed);
	for (size_t i = 0; i < notifier->left.len; i++)
		free(notifier->left.at[i]);
	vec_deinit(&notifier->left);
}
