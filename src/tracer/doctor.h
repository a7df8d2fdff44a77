/*
 * Would attaching work, and if not, why not?  Found out by looking, without touching.
 *
 *    doctor_look() --> facts ------ doctor_judge() ------> findings
 *                      what /proc and the kernel say       what that means for us, and
 *                                                          the command that mends it
 *
 * Findings are all the words there are about it: --doctor prints them, and an attach that
 * is refused names the first that failed (attach.h).
 */
#ifndef MEMTRACE_DOCTOR_H
#define MEMTRACE_DOCTOR_H

#include "tracer/finding.h"
#include "tracer/frozen.h"
#include "tracer/status.h"

/* What asking the kernel has given. */
enum { DOCTOR_NOT_ASKED = 1 }; /* else 0: allowed, or -errno */

struct doctor_facts {
	/* memtrace and the machine */
	int proc; /* status_proc() */
	struct status self;
	uint64_t self_namespace; /* inode of our user namespace; 0: unknown */
	int ptrace_call;	 /* whether we may call ptrace() at all */
	int ptrace_scope;	 /* of Yama; -1: not there */
	int deny_ptrace;	 /* of SELinux; -1: not there */
	bool apparmor;		 /* is switched on */
	unsigned config_missing; /* doctor_config.c */

	/* the process; pid 0: none in particular, and nothing of the following */
	pid_t pid;
	bool is_us;
	bool traces_us; /* each would wait for the other, unkillably */
	int found;		 /* 0, or -errno of reading its status */
	int memory;		 /* whether the kernel lets us trace it */
	struct status status;	 /* of pid, which may be a thread's id */
	unsigned threads;	 /* that have not ended */
	bool has_memory;	 /* one of them has */
	bool is_frozen;
	struct frozen frozen;
	unsigned filtered;	 /* have a seccomp filter */
	bool strict;		 /* one is in seccomp's strict mode */
	pid_t tracer;		 /* process that traces one of them; 0: none */
	char tracer_name[16];	 /* "?": unknown */
	uint64_t user_namespace; /* 0: unknown */
	uint16_t machine;	 /* of its ELF file; 0: unknown */
	uint8_t elf_class;
	bool undumpable; /* its files in /proc belong to another than its user */
	char label[128]; /* AppArmor's, "profile (mode)"; "": unknown */
};

/* root: "" (or a folder with another proc/ and sys/, for tests; then what only a live
 * kernel can say is DOCTOR_NOT_ASKED). */
void doctor_look(const char *root, pid_t pid, struct doctor_facts *ret);

enum doctor_scope {
	DOCTOR_MACHINE, /* whether its program is one for this memtrace, alone */
	DOCTOR_PROCESS, /* what the process is: whoever looks, it can't be attached to */
	DOCTOR_ALL,	/* and whether we are allowed to */
};

/* Appends to *ret. */
void doctor_judge(const struct doctor_facts *facts, enum doctor_scope scope,
		  struct doctor_findings *ret);

#endif
