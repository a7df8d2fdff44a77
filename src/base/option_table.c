/*
 * getopt_long() does the cutting ("+": it stops at the first word; ":": the messages are ours),
 * the row's kind does the reading.
 */
#include "base/option_table.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/quantity.h"

enum { ROW_CODE = 256 /* getopt's value of row 0 */ };

/* ---- one value -------------------------------------------------------------- */

static int take_choice(const struct option_row *row, const char *name, const char *value,
		       unsigned *field, struct err *err)
{
	char list[160] = "";

	for (unsigned i = 0; row->choices[i]; i++) {
		if (!strcmp(value, row->choices[i])) {
			*field = i;
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 i ? ", " : "", row->choices[i]);
	}
	return err_set(err, -EINVAL, "%s: '%s' is not one of: %s", name, value, list);
}

int option_list_add(struct option_list *list, const char *text, struct err *err)
{
	if (!vec_reserve(list, list->len + 2))
		return err_set(err, -ENOMEM, "no memory for '%s'", text);
	list->at[list->len++] = text;
	list->at[list->len] = NULL;
	return 0;
}

static int take(const struct option_row *row, const char *value, void *options, struct err *err)
{
	void *field = (char *)options + row->field;
	char name[40];
	uint64_t number;
	int rc = 0;

	snprintf(name, sizeof(name), "--%s", row->name);
	if (value && !*value)
		return err_set(err, -EINVAL, "%s: the %s is empty", name, row->arg);
	switch (row->kind) {
	case KIND_FLAG:
		*(bool *)field = true;
		break;
	case KIND_NUMBER:
		rc = quantity_number(value, name, row->min, row->max, &number, err);
		if (!rc)
			*(unsigned *)field = (unsigned)number;
		break;
	case KIND_TIME:
		rc = quantity_time(value, name, row->min, field, err);
		break;
	case KIND_SIZE:
		rc = quantity_size(value, name, field, err);
		break;
	case KIND_CHOICE:
		rc = take_choice(row, name, value, field, err);
		break;
	case KIND_TEXT:
		*(const char **)field = value;
		break;
	case KIND_LIST:
		rc = option_list_add(field, value, err);
		break;
	}
	return rc;
}

/* ---- the whole line ------------------------------------------------------------ */

/* getopt's two forms of the table. */
static void fill_getopt(const struct option_table *table, char *letters, struct option *longs)
{
	if (table->stops)
		*letters++ = '+';
	*letters++ = ':';
	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];

		longs[i] =
			(struct option){row->name, row->arg ? required_argument : no_argument,
					NULL, ROW_CODE + (int)i};
		if (!row->letter)
			continue;
		*letters++ = row->letter;
		if (row->arg)
			*letters++ = ':';
	}
	*letters = '\0';
	longs[table->count] = (struct option){0};
}

static const struct option_row *row_of(const struct option_table *table, int code)
{
	if (code >= ROW_CODE && (size_t)code < ROW_CODE + table->count)
		return &table->rows[code - ROW_CODE];
	for (size_t i = 0; i < table->count; i++)
		if (table->rows[i].letter && table->rows[i].letter == code)
			return &table->rows[i];
	return NULL;
}

/* What getopt could not take, in words.  `word` is the argument it stands at. */
static int refuse(const struct option_table *table, int code, const char *word, struct err *err)
{
	const struct option_row *row = row_of(table, optopt);
	const char *program = table->program;

	if (row && code == ':')
		return err_set(err, -EINVAL, "--%s needs its %s; see '%s --help'", row->name,
			       row->arg, program);
	if (row && optopt >= ROW_CODE)
		return err_set(err, -EINVAL, "--%s takes no value; see '%s --help'", row->name,
			       program);
	if (optopt)
		return err_set(err, -EINVAL, "unknown option '-%c'; see '%s --help'", optopt,
			       program);
	return err_set(err, -EINVAL, "unknown or ambiguous option '%s'; see '%s --help'", word,
		       program);
}

int option_table_read(const struct option_table *table, int argc, char *argv[], void *options,
		      int *words, struct err *err)
{
	struct option longs[OPTION_TABLE_MAX + 1];
	char letters[2 * OPTION_TABLE_MAX + 3];
	uint64_t given = 0;
	int code, rc = 0;

	fill_getopt(table, letters, longs);
	optind = 0; /* GNU: begin anew, also in a second call */
	opterr = 0;
	while (!rc && (code = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct option_row *row =
			code == '?' || code == ':' ? NULL : row_of(table, code);
		uint64_t bit = row ? (uint64_t)1 << (row - table->rows) : 0;

		if (!row)
			return refuse(table, code, argv[optind - 1], err);
		if (row->once && (given & bit))
			return err_set(err, -EINVAL, "--%s is given twice: %s", row->name,
				       row->once);
		given |= bit;
		rc = take(row, optarg, options, err);
		if (!rc && table->taken)
			table->taken(row, options);
	}
	*words = optind;
	return rc;
}

/* ---- what it says of itself ------------------------------------------------------ */

void option_table_help(const struct option_table *table, FILE *out)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];
		char name[40];

		if (row->hidden)
			continue;
		snprintf(name, sizeof(name), "%c%c%c --%s%s%s", row->letter ? '-' : ' ',
			 row->letter ? row->letter : ' ', row->letter ? ',' : ' ', row->name,
			 row->arg ? "=" : "", row->arg ? row->arg : "");
		fprintf(out, "  %-24s %s\n", name, row->help);
	}
}

void option_table_dump(const struct option_table *table, FILE *out)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];
		char letter[] = {'-', row->letter, '\0'};

		if (!row->hidden)
			fprintf(out, "%s\t--%s\t%s\t%s\n", letter, row->name,
				row->arg ? row->arg : "-", row->help);
	}
}
