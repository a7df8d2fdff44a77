/*
 * Taking over: memtrace comes to a process whose capture an earlier one has left (leave.h), and goes
 * on with its hooks, in their places, and all its numbers.  Until takeover_arm() the agent counts
 * alone, as before.
 */
#ifndef MEMTRACE_TAKEOVER_H
#define MEMTRACE_TAKEOVER_H

#include "capture/engine.h"

/* Before anything is looked for, or changed.  1: what was left is ours, modules are known.  0: there
 * is none.  -EEXIST and so on: there is, and why it can't be taken up; nothing has changed. */
int takeover(struct engine *engine, struct err *err) MUST_CHECK;

/* What has come since is hooked: from now on who is not known stops for us. */
int takeover_arm(struct engine *engine, struct err *err) MUST_CHECK;

#endif
