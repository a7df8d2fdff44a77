/*
 * A command line as a table: what is read, what --help says and what tests compare the manual
 * and the completions with is one row per option.
 */
#ifndef MEMTRACE_OPTION_TABLE_H
#define MEMTRACE_OPTION_TABLE_H

#include <stdio.h>

#include "base/err.h"
#include "base/types.h"
#include "base/vec.h"

enum option_kind {
	KIND_FLAG,   /* bool */
	KIND_NUMBER, /* unsigned within min..max */
	KIND_CHOICE, /* unsigned: the index in choices */
	KIND_TIME,   /* uint64_t, milliseconds, at least min */
	KIND_SIZE,   /* uint64_t, bytes */
	KIND_TEXT,   /* const char *, not empty */
	KIND_LIST,   /* struct option_list, repeatable */
};

/* Texts of argv, in order; at[len] is NULL when it is not empty. */
VEC_TYPE(option_list, const char *);

struct option_row {
	char letter; /* 0: long only */
	const char *name;
	const char *arg; /* what --help calls the argument; NULL: none */
	const char *help;
	enum option_kind kind;
	size_t field; /* where in the struct its value goes: offsetof() */
	uint64_t min, max;
	const char *const *choices; /* ends with NULL */
	const char *once;	    /* why it may not be given twice; NULL: it may */
	bool hidden;		    /* not in --help */
};

struct option_table {
	const char *program; /* whose --help is referred to */
	const struct option_row *rows;
	size_t count; /* at most OPTION_TABLE_MAX */
	bool stops;   /* at the first word that is no option: the rest is another's */
	/* Called behind each row that was taken; may be NULL. */
	void (*taken)(const struct option_row *row, void *options);
};

enum { OPTION_TABLE_MAX = 64 };

/*
 * Fills the struct `options` from argv.  *words: the index in argv of the first word that is
 * no option (where the table does not stop, argv is reordered: all of them come last).
 * Allocates nothing but lists.  -EINVAL, -ERANGE, -ENOMEM with a line in *err; lists may then
 * have been filled all the same.
 */
int option_table_read(const struct option_table *table, int argc, char *argv[], void *options,
		      int *words, struct err *err) MUST_CHECK;

/* Appends text, and a NULL behind it.  -ENOMEM. */
int option_list_add(struct option_list *list, const char *text, struct err *err) MUST_CHECK;

/* The rows of --help. */
void option_table_help(const struct option_table *table, FILE *out);

/* One line per option: "-p<TAB>--pid<TAB>PID<TAB>help"; "-" for what is not there. */
void option_table_dump(const struct option_table *table, FILE *out);

#endif
