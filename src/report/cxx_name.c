/*
 * Mangled names of types, read straight from left to right (Itanium C++ ABI, 5.1), into a text
 * of bounded length.
 *
 *    PKN3app3BoxIcEE     P  what stands behind the type:  "*"        (a list, innermost first)
 *                        K                                " const"
 *                        N..E  the type                   app::Box<char>, and then the list
 *
 * What a name may refer back to (S_, S0_ ..) is kept as its place in the mangled name, and is
 * read again from there; so is a function's template argument (T_).  A name that leads into
 * itself, or grows without end, ends at a limit of depth, of steps or of length.
 */
#include "report/cxx_name.h"

#include <ctype.h>
#include <string.h>

#include "base/types.h"
#include "report/cxx_text.h"
#include "report/utf8.h"

/* What stands behind a type, or within the parentheses of a function's: "*", " const", or a
 * class whose member is pointed to; innermost first. */
struct around {
	const char *text, *class_at;
	const struct around *next;
};

static void read_type(struct cxx_reading *r, const struct around *around);
static void read_encoding(struct cxx_reading *r);
static void put_around(struct cxx_reading *r, const struct around *around);

/* Types up to E, with commas; "v" alone is none. */
static void parameters(struct cxx_reading *r)
{
	bool first = true;

	cxx_put(r, "(");
	if (!cxx_no_parameters(r))
		for (; cxx_peek(r) && cxx_peek(r) != 'E'; first = false) {
			if (!first)
				cxx_put(r, ", ");
			read_type(r, NULL);
		}
	if (!cxx_peek(r)) /* behind them there is E */
		cxx_not_read(r);
	cxx_put(r, ")");
}

/* UlvE_, Ut_ */
static void unnamed(struct cxx_reading *r)
{
	bool lambda = cxx_take(r, "Ul");

	if (lambda) {
		cxx_put(r, "{lambda");
		parameters(r);
		cxx_need(r, "E");
	} else {
		cxx_need(r, "Ut");
		cxx_put(r, "{unnamed type");
	}
	cxx_put(r, "#");
	cxx_put_number(r, cxx_index(r, 10) + 1);
	cxx_put(r, "}");
}

static void literal(struct cxx_reading *r)
{
	const char *suffix;

	if (cxx_take(r, "b0E") || cxx_take(r, "b1E")) {
		cxx_put(r, r->at[-2] == '1' ? "true" : "false");
		return;
	}
	suffix = cxx_literal_suffix(r);
	if (!suffix) {
		cxx_put(r, "(");
		read_type(r, NULL);
		cxx_put(r, ")");
	}
	cxx_put_value(r);
	cxx_need(r, "E");
	cxx_put(r, suffix ? suffix : "");
}

static void template_arguments(struct cxx_reading *r);

/* The address of a function, of which the rest of the name is no part. */
static void address_of(struct cxx_reading *r)
{
	const char *arguments = r->arguments;

	cxx_put(r, "&(");
	read_encoding(r);
	cxx_need(r, "EE");
	cxx_put(r, ")");
	r->arguments = arguments;
}

static void template_argument(struct cxx_reading *r)
{
	if (cxx_take(r, "XadL_Z"))
		address_of(r);
	else if (cxx_take(r, "L"))
		literal(r);
	else if (cxx_peek(r) == 'J')
		template_arguments(r);
	else
		read_type(r, NULL);
}

/* I..E, with angles, and packs within, J..E, without. */
static void template_arguments(struct cxx_reading *r)
{
	bool angles = cxx_take(r, "I"), first = true;

	if (!angles)
		cxx_need(r, "J");
	if (!cxx_enter(r))
		return;
	cxx_put(r, angles ? "<" : "");
	while (cxx_peek(r) && cxx_peek(r) != 'E') {
		size_t before = r->len;
		if (!first)
			cxx_put(r, ", ");
		size_t behind = r->len;
		template_argument(r);
		if (r->len != behind)
			first = false;
		else if (r->outcome == CXX_GOES_ON) /* an empty pack */
			r->len = before;
	}
	cxx_need(r, "E");
	if (angles)
		cxx_put(r, !r->muted && r->len && r->text[r->len - 1] == '>' ? " >" : ">");
	r->depth--;
}

/* Reads again what was seen, the place of which stays. */
static void read_seen(struct cxx_reading *r, const struct cxx_seen *seen,
		      const struct around *around);

/* S_, Sa; not St. */
static void substitution(struct cxx_reading *r, const struct around *around)
{
	const char *name;
	unsigned long n;

	cxx_need(r, "S");
	name = cxx_standard(cxx_peek(r));
	if (name) {
		r->at++;
		cxx_put(r, name);
		put_around(r, around);
		return;
	}
	n = cxx_index(r, 36);
	if (r->outcome == CXX_GOES_ON && n >= r->back_count)
		cxx_fail(r, CXX_NOT_READ);
	if (r->outcome == CXX_GOES_ON)
		read_seen(r, &r->back[n], around);
}

/* T_: the argument of that number of the template that the function is. */
static void parameter(struct cxx_reading *r, const struct around *around)
{
	const char *at, *arguments = r->arguments;
	unsigned long n;

	cxx_need(r, "T");
	n = cxx_index(r, 10);
	at = r->at;
	if (!r->arguments)
		cxx_fail(r, CXX_NOT_READ);
	if (!cxx_enter(r))
		return;
	r->at = r->arguments;
	r->again++;
	r->muted++;
	for (; n && cxx_peek(r) && cxx_peek(r) != 'E'; n--)
		template_argument(r);
	r->muted--;
	if (n || !cxx_peek(r) || strchr("EX", cxx_peek(r)))
		cxx_fail(r, CXX_NOT_READ);
	else if (strchr("LJ", cxx_peek(r)))
		template_argument(r);
	else
		read_type(r, around);
	r->again--;
	r->depth--;
	r->arguments = arguments;
	r->at = at;
}

/* A part of a name, which what follows is in; the arguments of one stand behind it. */
static void component(struct cxx_reading *r)
{
	char c = cxx_peek(r);

	r->is_template = c == 'I';
	if (c != 'I')
		r->is_constructor = c == 'C';
	if (cxx_take(r, "St"))
		cxx_put(r, "std::");
	c = cxx_peek(r);
	if (c == 'I') {
		const char *at = r->at + 1;
		bool is_constructor = r->is_constructor;
		template_arguments(r);
		r->last_arguments = at;
		r->is_template = true;
		r->is_constructor = is_constructor;
	} else if (c == 'S') {
		substitution(r, NULL);
	} else if (c == 'T') {
		parameter(r, NULL);
	} else if (c == 'U') {
		unnamed(r);
	} else if ((c == 'C' || c == 'D') && r->last && r->at + 1 < r->end &&
		   isdigit((unsigned char)r->at[1])) {
		const char *behind = r->at + 2;
		cxx_put(r, c == 'D' ? "~" : "");
		r->at = r->last;
		cxx_source_name(r);
		r->at = behind;
	} else if (cxx_take(r, "cl")) {
		cxx_put(r, "operator()");
	} else {
		cxx_take(r, "L");
		cxx_source_name(r);
	}
}

/* The parts of a nested name up to `end`, or, where that is NULL, up to its E. */
static void components(struct cxx_reading *r, const char *end)
{
	const char *at = r->at;

	while (cxx_peek(r) && (end ? r->at < end : cxx_peek(r) != 'E')) {
		bool back = cxx_is_back(r);
		if (r->at != at && cxx_peek(r) != 'I')
			cxx_put(r, "::");
		component(r);
		if (!end && cxx_peek(r) != 'E' && !back)
			cxx_remember(r, at, true);
	}
}

static void nested_name(struct cxx_reading *r)
{
	const char *of_function;

	cxx_need(r, "N");
	of_function = cxx_qualifiers(r);
	if (cxx_take(r, "R") || cxx_take(r, "O"))
		cxx_fail(r, CXX_NOT_READ);
	components(r, NULL);
	cxx_need(r, "E");
	r->of_function = of_function;
}

static void name(struct cxx_reading *r);

/* Z, a function, E, and what is in it; which one of those of its name there is not told. */
static void local_name(struct cxx_reading *r)
{
	cxx_need(r, "Z");
	if (!cxx_enter(r))
		return;
	read_encoding(r);
	cxx_need(r, "E");
	cxx_put(r, "::");
	name(r);
	cxx_discriminator(r);
	r->depth--;
}

static void name(struct cxx_reading *r)
{
	const char *at = r->at;
	bool back = cxx_is_back(r);

	r->of_function = "";
	if (cxx_peek(r) == 'N') {
		nested_name(r);
	} else if (cxx_peek(r) == 'Z') {
		local_name(r);
	} else {
		component(r);
		if (cxx_peek(r) != 'I')
			return;
		if (!back)
			cxx_remember(r, at, true);
		component(r);
	}
}

static void read_encoding(struct cxx_reading *r)
{
	const char *of_function;

	if (!cxx_enter(r))
		return;
	name(r);
	of_function = r->of_function;
	if (r->is_template)
		r->arguments = r->last_arguments;
	if (cxx_peek(r) && cxx_peek(r) != 'E') {
		if (r->is_template && !r->is_constructor) {
			r->muted++;
			read_type(r, NULL); /* what it returns */
			r->muted--;
		}
		parameters(r);
		cxx_put(r, of_function);
	}
	r->depth--;
}

static void read_seen(struct cxx_reading *r, const struct cxx_seen *seen,
		      const struct around *around)
{
	const char *at = r->at, *arguments = r->arguments;

	if (!cxx_enter(r))
		return;
	r->at = seen->at;
	r->again++;
	if (seen->nested) {
		components(r, seen->end);
		put_around(r, around);
	} else {
		read_type(r, around);
	}
	r->again--;
	r->depth--;
	r->arguments = arguments;
	r->at = at;
}

static void put_around(struct cxx_reading *r, const struct around *around)
{
	for (; around; around = around->next) {
		if (around->class_at) {
			cxx_put(r, r->len && r->text[r->len - 1] == '(' ? "" : " ");
			read_seen(r, &(struct cxx_seen){around->class_at, NULL, false}, NULL);
		}
		cxx_put(r, around->text);
	}
}

/* "int (*)(char)" */
static void function_type(struct cxx_reading *r, const struct around *around,
			  const char *qualified)
{
	bool noexcept = cxx_take(r, "Do");

	cxx_need(r, "F");
	cxx_take(r, "Y");
	read_type(r, NULL);
	cxx_put(r, " ");
	if (around) {
		cxx_put(r, "(");
		put_around(r, around);
		cxx_put(r, ")");
	}
	parameters(r);
	cxx_need(r, "E");
	cxx_put(r, qualified);
	cxx_put(r, noexcept ? " noexcept" : "");
}

/* "int (*) [3]", "int [3][4]" */
static void array_type(struct cxx_reading *r, const struct around *around)
{
	const struct around *first = around, *of_element = NULL;
	struct around constant;
	const char *at[4];
	unsigned long lengths[4];
	size_t count = 0;

	if (around && around->text[0] == ' ' && !around->class_at) { /* an array of constants */
		constant = (struct around){around->text, NULL, NULL};
		of_element = &constant;
		first = around->next;
	}
	for (; cxx_peek(r) == 'A' && count < ARRAY_SIZE(at); count++) {
		at[count] = r->at++;
		lengths[count] = cxx_number(r);
		cxx_need(r, "_");
	}
	read_type(r, of_element);
	cxx_put(r, first ? " (" : " ");
	put_around(r, first);
	cxx_put(r, first ? ") " : "");
	for (size_t i = 0; i < count; i++) {
		cxx_put(r, "[");
		cxx_put_number(r, lengths[i]);
		cxx_put(r, "]");
	}
	while (count > 1)
		cxx_remember(r, at[--count], false); /* the outermost is the caller's */
}

static void member_type(struct cxx_reading *r, const struct around *around)
{
	struct around member = {"::*", NULL, around};

	cxx_need(r, "M");
	member.class_at = r->at;
	r->muted++;
	read_type(r, NULL);
	r->muted--;
	read_type(r, &member);
}

/* A name, or what was seen, with arguments or without. */
static void named_type(struct cxx_reading *r, const struct around *around)
{
	const char *at = r->at;

	if (!cxx_is_back(r)) {
		name(r);
	} else if (cxx_back_end(r)[0] == 'I') {
		substitution(r, NULL);
		component(r);
	} else {
		substitution(r, around);
		return;
	}
	put_around(r, around);
	cxx_remember(r, at, false);
}

static void compound_type(struct cxx_reading *r, const struct around *around)
{
	const char *at = r->at, *qualified = cxx_qualifiers(r);
	bool function = cxx_peek(r) == 'F' || (r->end - r->at > 1 && !memcmp(r->at, "Do", 2));
	struct around more = {qualified, NULL, around};

	if (r->at == at)
		more.text = cxx_indirection(r);
	if (function)
		function_type(r, around, qualified);
	else if (more.text)
		read_type(r, &more);
	else if (cxx_peek(r) == 'A')
		array_type(r, around);
	else if (cxx_peek(r) == 'M')
		member_type(r, around);
	else
		parameter(r, around);
	cxx_remember(r, at, false);
}

static void read_type(struct cxx_reading *r, const struct around *around)
{
	char c = cxx_peek(r), next = r->at + 1 < r->end ? r->at[1] : '\0';
	const char *text;

	if (!cxx_enter(r))
		return;
	text = cxx_builtin(r);
	if (text) {
		cxx_put(r, text);
		put_around(r, around);
	} else if (cxx_take(r, "DpT")) {
		r->at--;
		parameter(r, NULL);
	} else if (isdigit((unsigned char)c) || (c && strchr("NZS", c)) ||
		   (c == 'U' && strchr("lt", next))) {
		named_type(r, around);
	} else if ((c && strchr("rVKPROFAMT", c)) || (c == 'D' && next == 'o')) {
		compound_type(r, around);
	} else {
		cxx_not_read(r);
	}
	r->depth--;
}

bool cxx_name_print(FILE *out, const char *text, size_t room)
{
	size_t len = strnlen(text, CXX_MAX_NAME);
	bool cut_off = len + 1 == room || len == CXX_MAX_NAME;
	struct cxx_reading r = {.at = text, .end = text + len, .cut_off = cut_off};

	if (!strchr("0123456789NSZ", text[0]))
		return false;
	read_type(&r, NULL);
	if (r.outcome == CXX_NOT_READ || (r.outcome == CXX_GOES_ON && r.at != r.end))
		return false;
	r.text[r.len] = '\0';
	utf8_print(out, r.text);
	if (r.outcome == CXX_CUT || r.cut_off)
		fputs("...", out);
	return true;
}
