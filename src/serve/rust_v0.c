/*
 * Rust's v0 symbol names (RFC 2603; rustc book, "v0 Symbol Format"), read by recursive
 * descent and printed as rustc's own tools do in their short form: no crate hashes, no
 * types of constants.
 *
 *   _R N v C 5 mycrate 4 main          mycrate::main
 *      | | | crate root
 *      | | value namespace
 *      nested path
 *
 * A symbol is anybody's bytes: depth, length of the output and the reach of
 * back-references are bounded, and whatever can't be understood gives no name at all.
 */
#include "serve/demangle.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/rust_text.h"

static void path(struct rust_text *v, bool in_value);
static void type(struct rust_text *v);
static void constant(struct rust_text *v);

/* "B": what is at an earlier place of the symbol, read again. */
static void back_reference(struct rust_text *v, void (*read)(struct rust_text *v))
{
	size_t begin = v->at - 1, resume;
	uint64_t target = rust_text_base62(v);

	resume = v->at;
	if (v->bad || target >= begin) {
		v->bad = true;
		return;
	}
	if (v->mute)
		return;
	v->at = (size_t)target;
	read(v);
	v->at = resume;
}

static void value_path(struct rust_text *v)
{
	path(v, true);
}

static void type_path(struct rust_text *v)
{
	path(v, false);
}

/* 'a, 'b .. by depth of binding; 0 is the erased one. */
static void lifetime(struct rust_text *v, uint64_t index)
{
	char letter[3] = "'a";

	if (!index) {
		rust_text_print(v, "'_");
		return;
	}
	if (index > v->binders) {
		v->bad = true;
		return;
	}
	index = v->binders - index;
	letter[1] = (char)('a' + index % 26);
	rust_text_print(v, letter);
	if (index >= 26)
		rust_text_number(v, index / 26);
}

/* "for<'a, 'b> " in front of what binds lifetimes; returns how many. */
static uint64_t binder(struct rust_text *v)
{
	uint64_t count = rust_text_tagged62(v, 'G');

	if (count > 64)
		v->bad = true;
	if (!count || v->bad)
		return 0;
	rust_text_print(v, "for<");
	for (uint64_t i = 0; i < count; i++) {
		v->binders++;
		if (i)
			rust_text_print(v, ", ");
		lifetime(v, 1);
	}
	rust_text_print(v, "> ");
	return count;
}

static void generic_args(struct rust_text *v)
{
	bool first = true;

	rust_text_print(v, "<");
	while (!v->bad && !rust_text_eat(v, 'E')) {
		if (!first)
			rust_text_print(v, ", ");
		first = false;
		if (rust_text_eat(v, 'L'))
			lifetime(v, rust_text_base62(v));
		else if (rust_text_eat(v, 'K'))
			constant(v);
		else
			type(v);
	}
	rust_text_print(v, ">");
}

/* A name within a namespace: closures and shims by kind, the others by name alone. */
static void nested(struct rust_text *v, bool in_value)
{
	char space = rust_text_next(v);
	struct rust_name name;

	path(v, in_value);
	name = rust_text_identifier(v);
	if (space >= 'A' && space <= 'Z') {
		rust_text_print(v, space == 'C'	  ? "::{closure"
				   : space == 'S' ? "::{shim"
						  : "::{");
		if (space != 'C' && space != 'S')
			rust_text_put(v, &space, 1);
		if (name.len) {
			rust_text_print(v, ":");
			rust_text_name(v, name);
		}
		rust_text_print(v, "#");
		rust_text_number(v, name.disambiguator);
		rust_text_print(v, "}");
	} else if (space < 'a' || space > 'z') {
		v->bad = true;
	} else if (name.len) {
		rust_text_print(v, "::");
		rust_text_name(v, name);
	}
}

/* The path of an impl is read, not shown. */
static void impl_path(struct rust_text *v)
{
	bool mute = v->mute;

	v->mute = true;
	rust_text_tagged62(v, 's');
	path(v, false);
	v->mute = mute;
}

static void path(struct rust_text *v, bool in_value)
{
	char tag;

	if (!rust_text_enter(v))
		return;
	tag = rust_text_next(v);
	switch (tag) {
	case 'C':
		rust_text_name(v, rust_text_identifier(v));
		break;
	case 'N':
		nested(v, in_value);
		break;
	case 'M':
	case 'X':
	case 'Y':
		if (tag != 'Y')
			impl_path(v);
		rust_text_print(v, "<");
		type(v);
		if (tag != 'M') {
			rust_text_print(v, " as ");
			path(v, false);
		}
		rust_text_print(v, ">");
		break;
	case 'I':
		path(v, in_value);
		if (in_value)
			rust_text_print(v, "::");
		generic_args(v);
		break;
	case 'B':
		back_reference(v, in_value ? value_path : type_path);
		break;
	default:
		v->bad = true;
	}
	rust_text_leave(v);
}

static const char *basic_type(char c)
{
	static const char *const types[26] = {
		['a' - 'a'] = "i8",   ['b' - 'a'] = "bool",  ['c' - 'a'] = "char",
		['d' - 'a'] = "f64",  ['e' - 'a'] = "str",   ['f' - 'a'] = "f32",
		['h' - 'a'] = "u8",   ['i' - 'a'] = "isize", ['j' - 'a'] = "usize",
		['l' - 'a'] = "i32",  ['m' - 'a'] = "u32",   ['n' - 'a'] = "i128",
		['o' - 'a'] = "u128", ['p' - 'a'] = "_",     ['s' - 'a'] = "i16",
		['t' - 'a'] = "u16",  ['u' - 'a'] = "()",    ['v' - 'a'] = "...",
		['x' - 'a'] = "i64",  ['y' - 'a'] = "u64",   ['z' - 'a'] = "!",
	};

	return c >= 'a' && c <= 'z' ? types[c - 'a'] : NULL;
}

/* extern "C" fn; in other ABIs' names "-" is written as "_". */
static void abi(struct rust_text *v)
{
	struct rust_name name;

	rust_text_print(v, "extern \"");
	if (rust_text_eat(v, 'C')) {
		rust_text_print(v, "C");
	} else {
		name = rust_text_bare(v);
		for (size_t i = 0; i < name.len; i++)
			rust_text_put(v, name.text[i] == '_' ? "-" : name.text + i, 1);
	}
	rust_text_print(v, "\" ");
}

static void function_type(struct rust_text *v)
{
	uint64_t bound = binder(v);
	bool first = true;

	if (rust_text_eat(v, 'U'))
		rust_text_print(v, "unsafe ");
	if (rust_text_eat(v, 'K'))
		abi(v);
	rust_text_print(v, "fn(");
	while (!v->bad && !rust_text_eat(v, 'E')) {
		if (!first)
			rust_text_print(v, ", ");
		first = false;
		type(v);
	}
	rust_text_print(v, ")");
	if (!rust_text_eat(v, 'u')) { /* -> () is left out */
		rust_text_print(v, " -> ");
		type(v);
	}
	v->binders -= bound;
}

/* A trait with its associated types, which go into the same <> as its arguments. */
static void dyn_trait(struct rust_text *v)
{
	bool open = false;

	if (rust_text_eat(v, 'B')) {
		back_reference(v, type_path);
	} else if (rust_text_eat(v, 'I')) {
		path(v, false);
		generic_args(v);
		open = true;
		if (!v->mute && !v->bad && rust_text_peek(v) == 'p')
			v->out_len--; /* the ">", printed below */
	} else {
		path(v, false);
	}
	for (bool any = false; rust_text_eat(v, 'p'); any = true) {
		rust_text_print(v, any || open ? ", " : "<");
		rust_text_name(v, rust_text_bare(v));
		rust_text_print(v, " = ");
		type(v);
		if (rust_text_peek(v) != 'p')
			rust_text_print(v, ">");
	}
}

static void dyn_type(struct rust_text *v)
{
	uint64_t bound, index;
	bool first = true;

	rust_text_print(v, "dyn ");
	bound = binder(v);
	while (!v->bad && !rust_text_eat(v, 'E')) {
		if (!first)
			rust_text_print(v, " + ");
		first = false;
		dyn_trait(v);
	}
	v->binders -= bound;
	if (!rust_text_eat(v, 'L')) {
		v->bad = true;
		return;
	}
	index = rust_text_base62(v);
	if (index) {
		rust_text_print(v, " + ");
		lifetime(v, index);
	}
}

static void reference(struct rust_text *v, const char *what)
{
	rust_text_print(v, "&");
	if (rust_text_eat(v, 'L')) {
		uint64_t index = rust_text_base62(v);
		if (index) {
			lifetime(v, index);
			rust_text_print(v, " ");
		}
	}
	rust_text_print(v, what);
	type(v);
}

static void tuple(struct rust_text *v)
{
	size_t count = 0;

	rust_text_print(v, "(");
	for (; !v->bad && !rust_text_eat(v, 'E'); count++) {
		if (count)
			rust_text_print(v, ", ");
		type(v);
	}
	rust_text_print(v, count == 1 ? ",)" : ")");
}

static void array(struct rust_text *v, bool sized)
{
	rust_text_print(v, "[");
	type(v);
	if (sized) {
		rust_text_print(v, "; ");
		constant(v);
	}
	rust_text_print(v, "]");
}

static void type(struct rust_text *v)
{
	char tag = rust_text_peek(v);

	if (!rust_text_enter(v))
		return;
	if (basic_type(tag)) {
		v->at++;
		rust_text_print(v, basic_type(tag));
	} else if (rust_text_eat(v, 'A') || rust_text_eat(v, 'S')) {
		array(v, tag == 'A');
	} else if (rust_text_eat(v, 'T')) {
		tuple(v);
	} else if (rust_text_eat(v, 'R') || rust_text_eat(v, 'Q')) {
		reference(v, tag == 'Q' ? "mut " : "");
	} else if (rust_text_eat(v, 'P') || rust_text_eat(v, 'O')) {
		rust_text_print(v, tag == 'P' ? "*const " : "*mut ");
		type(v);
	} else if (rust_text_eat(v, 'F')) {
		function_type(v);
	} else if (rust_text_eat(v, 'D')) {
		dyn_type(v);
	} else if (rust_text_eat(v, 'B')) {
		back_reference(v, type);
	} else {
		path(v, false);
	}
	rust_text_leave(v);
}

/* Hex digits up to "_"; as a number where it fits. */
static void hex_number(struct rust_text *v)
{
	size_t begin = v->at, len;
	uint64_t value = 0;

	while (!v->bad && !rust_text_eat(v, '_')) {
		char c = rust_text_next(v);
		if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
			v->bad = true;
		value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	if (v->bad)
		return;
	len = v->at - 1 - begin;
	if (len <= 16) {
		rust_text_number(v, value);
	} else {
		rust_text_print(v, "0x");
		rust_text_put(v, v->text + begin, len);
	}
}

static void character(struct rust_text *v)
{
	size_t begin = v->at;
	bool mute = v->mute;
	unsigned long code;
	char text[24];

	v->mute = true;
	hex_number(v);
	v->mute = mute;
	if (v->bad)
		return;
	code = strtoul(v->text + begin, NULL, 16);
	if (code >= ' ' && code < 127)
		snprintf(text, sizeof(text), "'%c'", (int)code);
	else
		snprintf(text, sizeof(text), "'\\u{%lx}'", code);
	rust_text_print(v, text);
}

/* Integers, bool and char; the structured constants of newer compilers are not read. */
static void constant(struct rust_text *v)
{
	char tag;

	if (!rust_text_enter(v))
		return;
	tag = rust_text_next(v);
	if (tag == 'B') {
		back_reference(v, constant);
	} else if (tag == 'p') {
		rust_text_print(v, "_");
	} else if (tag == 'b') {
		char bit = rust_text_next(v);
		rust_text_print(v, bit == '1' ? "true" : "false");
		v->bad |= !rust_text_eat(v, '_');
	} else if (tag == 'c') {
		character(v);
	} else if (strchr("ahijlmnostxy", tag)) {
		if (rust_text_eat(v, 'n'))
			rust_text_print(v, "-");
		hex_number(v);
	} else {
		v->bad = true;
	}
	rust_text_leave(v);
}

char *rust_v0_demangle(const char *symbol)
{
	struct rust_text v = {.text = symbol + 2};
	char *text;

	v.len = strcspn(v.text, ".$"); /* a suffix is the linker's, or LLVM's */
	v.out = malloc(RUST_TEXT_MAX + 1);
	if (!v.out || strncmp(symbol, "_R", 2)) {
		free(v.out);
		return NULL;
	}
	path(&v, true);
	if (!v.bad && v.at < v.len) { /* the crate that instantiated it */
		v.mute = true;
		path(&v, false);
	}
	v.bad |= v.at != v.len;
	v.out[v.out_len] = '\0';
	text = v.bad ? NULL : strdup(v.out);
	free(v.out);
	return text;
}
