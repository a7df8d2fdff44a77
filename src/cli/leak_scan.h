/*
 * A look for leaks, from the announcement of the pause to what was found: the main thread's part.
 *
 *    leak_scan_begin()  says how long the process will be stopped, has a picture taken (capture/look.h),
 *                  reads its modules, has the blocks found and classified (heap/leak/)
 *    ...           leak_scan_find() and the like, while the picture is there.  Where memory is
 *                  short, and a memtrace-fs on another machine, that one looks then
 *    leak_scan_end()    the copy ends, or the process runs on
 */
#ifndef MEMTRACE_LEAK_SCAN_H
#define MEMTRACE_LEAK_SCAN_H

#include "capture/capture.h"
#include "cli/detacher.h"
#include "cli/leak_stacks.h"
#include "cli/output.h"
#include "cli/server_link.h"
#include "heap/findings.h"
#include "report/inquiry.h"

struct leak_scan_options {
	struct capture *capture;
	struct detacher *detacher; /* a Ctrl-C ends the look */
	struct output *output;
	uint64_t max_pause_ms; /* 0: what a copy takes, and a second, as expected, without one */
	uint64_t memory_limit; /* 0: half of what is available */
	struct server_link *link; /* who may look in place of this machine; NULL: nobody */
	bool at_end;	       /* the process is about to end, and waits for us */
	bool survey;	       /* of the heap: leak_input.survey */
	bool quiet;	       /* nothing is announced: it was before */
};

struct leak_scan {
	struct leak_scan_options options;
	struct look *look;
	struct modules modules;
	struct leak_thread *threads;
	struct leak_live *live;
	struct leak *leak; /* NULL: memtrace-fs looks, as this machine can't: */
	char why[sizeof(((struct err *)0)->text)];
	uint64_t resident; /* bytes of the process */
	uint64_t available; /* half of what the kernel could give to anybody; 0: it does not say */
	struct leak_stacks *stacks;
	struct path_names names;
};

int leak_scan_begin(struct leak_scan *ret, const struct leak_scan_options *options,
		    struct err *err);
/* Of the blocks, and of call stacks that the look's snapshot has; blocks: at most, 0 all. */
int leak_scan_find(struct leak_scan *scan, size_t blocks, size_t paths,
	      const struct findings_addrs *confirmed, struct findings **ret, struct err *err);
/* The addresses of lost blocks, ascending. */
int leak_scan_lost(struct leak_scan *scan, struct findings_addrs *ret, struct err *err);
/* Answers on out. */
int leak_scan_inquire(struct leak_scan *scan, const struct inquiry *inquiry, FILE *out,
		      struct inquiry_found *ret, struct err *err);
/* Also of one that did not begin.  *pause_ns (may be NULL): how long it stood. */
void leak_scan_end(struct leak_scan *scan, uint64_t *pause_ns);

#endif
