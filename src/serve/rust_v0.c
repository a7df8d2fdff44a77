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

enum { MAX_DEPTH = 128, MAX_OUTPUT = 16 << 10 };

struct v0 {
	const char *text; /* behind "_R" */
	size_t len, at;
	char *out;
	size_t out_len;
	bool bad;
	bool mute; /* read, don't print */
	int depth;
	uint64_t binders; /* lifetimes bound around here */
};

static void put(struct v0 *v, const char *text, size_t len)
{
	if (v->mute || v->bad)
		return;
	if (len > MAX_OUTPUT - v->out_len) {
		v->bad = true;
		return;
	}
	memcpy(v->out + v->out_len, text, len);
	v->out_len += len;
}

static void print(struct v0 *v, const char *text)
{
	put(v, text, strlen(text));
}

static void print_number(struct v0 *v, uint64_t number)
{
	char text[24];

	put(v, text, (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)number));
}

static char peek(const struct v0 *v)
{
	return v->at < v->len ? v->text[v->at] : '\0';
}

static bool eat(struct v0 *v, char c)
{
	if (v->bad || peek(v) != c || !c)
		return false;
	v->at++;
	return true;
}

static char next(struct v0 *v)
{
	char c = peek(v);

	if (c)
		v->at++;
	else
		v->bad = true;
	return c;
}

/* Counts nesting; false (and bad) when it is too deep. */
static bool enter(struct v0 *v)
{
	if (v->bad || ++v->depth > MAX_DEPTH)
		v->bad = true;
	return !v->bad;
}

static void leave(struct v0 *v)
{
	v->depth--;
}

/* Base 62: "_" is 0, digits then "_" are their value + 1. */
static uint64_t base62(struct v0 *v)
{
	uint64_t value = 0;

	if (eat(v, '_'))
		return 0;
	while (!v->bad && !eat(v, '_')) {
		char c = next(v);
		unsigned digit = 62;
		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'z')
			digit = (unsigned)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'Z')
			digit = (unsigned)(c - 'A') + 36;
		if (digit == 62 || value > (UINT64_MAX - digit) / 62 - 1)
			v->bad = true;
		else
			value = value * 62 + digit;
	}
	return value + 1;
}

/* An optional base-62 number behind a tag: 0 when absent. */
static uint64_t tagged62(struct v0 *v, char tag)
{
	return eat(v, tag) ? base62(v) + 1 : 0;
}

struct name {
	const char *text;
	size_t len;
	bool punycode;
	uint64_t disambiguator;
};

static struct name bare_identifier(struct v0 *v)
{
	struct name name = {.punycode = eat(v, 'u')};
	bool any = false;

	while (peek(v) >= '0' && peek(v) <= '9' && name.len <= v->len) {
		name.len = name.len * 10 + (size_t)(next(v) - '0');
		any = true;
		if (!name.len)
			break; /* no leading zeros */
	}
	eat(v, '_');
	if (!any || v->bad || name.len > v->len - v->at) {
		v->bad = true;
		return (struct name){};
	}
	name.text = v->text + v->at;
	v->at += name.len;
	return name;
}

static struct name identifier(struct v0 *v)
{
	uint64_t disambiguator = tagged62(v, 's');
	struct name name = bare_identifier(v);

	name.disambiguator = disambiguator;
	return name;
}

static void print_name(struct v0 *v, struct name name)
{
	if (name.punycode)
		print(v, "punycode{");
	put(v, name.text, name.len);
	if (name.punycode)
		print(v, "}");
}

static void path(struct v0 *v, bool in_value);
static void type(struct v0 *v);
static void constant(struct v0 *v);

/* "B": what stands at an earlier place of the symbol, read again. */
static void back_reference(struct v0 *v, void (*read)(struct v0 *v))
{
	size_t begin = v->at - 1, resume;
	uint64_t target = base62(v);

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

static void value_path(struct v0 *v)
{
	path(v, true);
}

static void type_path(struct v0 *v)
{
	path(v, false);
}

/* 'a, 'b .. by depth of binding; 0 is the erased one. */
static void lifetime(struct v0 *v, uint64_t index)
{
	char letter[3] = "'a";

	if (!index) {
		print(v, "'_");
		return;
	}
	if (index > v->binders) {
		v->bad = true;
		return;
	}
	index = v->binders - index;
	letter[1] = (char)('a' + index % 26);
	print(v, letter);
	if (index >= 26)
		print_number(v, index / 26);
}

/* "for<'a, 'b> " in front of what binds lifetimes; returns how many. */
static uint64_t binder(struct v0 *v)
{
	uint64_t count = tagged62(v, 'G');

	if (count > 64)
		v->bad = true;
	if (!count || v->bad)
		return 0;
	print(v, "for<");
	for (uint64_t i = 0; i < count; i++) {
		v->binders++;
		if (i)
			print(v, ", ");
		lifetime(v, 1);
	}
	print(v, "> ");
	return count;
}

static void generic_args(struct v0 *v)
{
	bool first = true;

	print(v, "<");
	while (!v->bad && !eat(v, 'E')) {
		if (!first)
			print(v, ", ");
		first = false;
		if (eat(v, 'L'))
			lifetime(v, base62(v));
		else if (eat(v, 'K'))
			constant(v);
		else
			type(v);
	}
	print(v, ">");
}

/* A name within a namespace: closures and shims by kind, the others by name alone. */
static void nested(struct v0 *v, bool in_value)
{
	char space = next(v);
	struct name name;

	path(v, in_value);
	name = identifier(v);
	if (space >= 'A' && space <= 'Z') {
		print(v, space == 'C' ? "::{closure" : space == 'S' ? "::{shim" : "::{");
		if (space != 'C' && space != 'S')
			put(v, &space, 1);
		if (name.len) {
			print(v, ":");
			print_name(v, name);
		}
		print(v, "#");
		print_number(v, name.disambiguator);
		print(v, "}");
	} else if (space < 'a' || space > 'z') {
		v->bad = true;
	} else if (name.len) {
		print(v, "::");
		print_name(v, name);
	}
}

/* The path of an impl is read, not shown. */
static void impl_path(struct v0 *v)
{
	bool mute = v->mute;

	v->mute = true;
	tagged62(v, 's');
	path(v, false);
	v->mute = mute;
}

static void path(struct v0 *v, bool in_value)
{
	char tag;

	if (!enter(v))
		return;
	tag = next(v);
	switch (tag) {
	case 'C':
		print_name(v, identifier(v));
		break;
	case 'N':
		nested(v, in_value);
		break;
	case 'M':
	case 'X':
	case 'Y':
		if (tag != 'Y')
			impl_path(v);
		print(v, "<");
		type(v);
		if (tag != 'M') {
			print(v, " as ");
			path(v, false);
		}
		print(v, ">");
		break;
	case 'I':
		path(v, in_value);
		if (in_value)
			print(v, "::");
		generic_args(v);
		break;
	case 'B':
		back_reference(v, in_value ? value_path : type_path);
		break;
	default:
		v->bad = true;
	}
	leave(v);
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
static void abi(struct v0 *v)
{
	struct name name;

	print(v, "extern \"");
	if (eat(v, 'C')) {
		print(v, "C");
	} else {
		name = bare_identifier(v);
		for (size_t i = 0; i < name.len; i++)
			put(v, name.text[i] == '_' ? "-" : name.text + i, 1);
	}
	print(v, "\" ");
}

static void function_type(struct v0 *v)
{
	uint64_t bound = binder(v);
	bool first = true;

	if (eat(v, 'U'))
		print(v, "unsafe ");
	if (eat(v, 'K'))
		abi(v);
	print(v, "fn(");
	while (!v->bad && !eat(v, 'E')) {
		if (!first)
			print(v, ", ");
		first = false;
		type(v);
	}
	print(v, ")");
	if (!eat(v, 'u')) { /* -> () is left out */
		print(v, " -> ");
		type(v);
	}
	v->binders -= bound;
}

/* A trait with its associated types, which go into the same <> as its arguments. */
static void dyn_trait(struct v0 *v)
{
	bool open = false;

	if (eat(v, 'B')) {
		back_reference(v, type_path);
	} else if (eat(v, 'I')) {
		path(v, false);
		generic_args(v);
		open = true;
		if (!v->mute && !v->bad && peek(v) == 'p')
			v->out_len--; /* the ">", printed below */
	} else {
		path(v, false);
	}
	for (bool any = false; eat(v, 'p'); any = true) {
		print(v, any || open ? ", " : "<");
		print_name(v, bare_identifier(v));
		print(v, " = ");
		type(v);
		if (peek(v) != 'p')
			print(v, ">");
	}
}

static void dyn_type(struct v0 *v)
{
	uint64_t bound, index;
	bool first = true;

	print(v, "dyn ");
	bound = binder(v);
	while (!v->bad && !eat(v, 'E')) {
		if (!first)
			print(v, " + ");
		first = false;
		dyn_trait(v);
	}
	v->binders -= bound;
	if (!eat(v, 'L')) {
		v->bad = true;
		return;
	}
	index = base62(v);
	if (index) {
		print(v, " + ");
		lifetime(v, index);
	}
}

static void reference(struct v0 *v, const char *what)
{
	print(v, "&");
	if (eat(v, 'L')) {
		uint64_t index = base62(v);
		if (index) {
			lifetime(v, index);
			print(v, " ");
		}
	}
	print(v, what);
	type(v);
}

static void tuple(struct v0 *v)
{
	size_t count = 0;

	print(v, "(");
	for (; !v->bad && !eat(v, 'E'); count++) {
		if (count)
			print(v, ", ");
		type(v);
	}
	print(v, count == 1 ? ",)" : ")");
}

static void array(struct v0 *v, bool sized)
{
	print(v, "[");
	type(v);
	if (sized) {
		print(v, "; ");
		constant(v);
	}
	print(v, "]");
}

static void type(struct v0 *v)
{
	char tag = peek(v);

	if (!enter(v))
		return;
	if (basic_type(tag)) {
		v->at++;
		print(v, basic_type(tag));
	} else if (eat(v, 'A') || eat(v, 'S')) {
		array(v, tag == 'A');
	} else if (eat(v, 'T')) {
		tuple(v);
	} else if (eat(v, 'R') || eat(v, 'Q')) {
		reference(v, tag == 'Q' ? "mut " : "");
	} else if (eat(v, 'P') || eat(v, 'O')) {
		print(v, tag == 'P' ? "*const " : "*mut ");
		type(v);
	} else if (eat(v, 'F')) {
		function_type(v);
	} else if (eat(v, 'D')) {
		dyn_type(v);
	} else if (eat(v, 'B')) {
		back_reference(v, type);
	} else {
		path(v, false);
	}
	leave(v);
}

/* Hex digits up to "_"; as a number where it fits. */
static void hex_number(struct v0 *v)
{
	size_t begin = v->at, len;
	uint64_t value = 0;

	while (!v->bad && !eat(v, '_')) {
		char c = next(v);
		if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
			v->bad = true;
		value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	if (v->bad)
		return;
	len = v->at - 1 - begin;
	if (len <= 16) {
		print_number(v, value);
	} else {
		print(v, "0x");
		put(v, v->text + begin, len);
	}
}

static void character(struct v0 *v)
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
	print(v, text);
}

/* Integers, bool and char; the structured constants of newer compilers are not read. */
static void constant(struct v0 *v)
{
	char tag;

	if (!enter(v))
		return;
	tag = next(v);
	if (tag == 'B') {
		back_reference(v, constant);
	} else if (tag == 'p') {
		print(v, "_");
	} else if (tag == 'b') {
		char bit = next(v);
		print(v, bit == '1' ? "true" : "false");
		v->bad |= !eat(v, '_');
	} else if (tag == 'c') {
		character(v);
	} else if (strchr("ahijlmnostxy", tag)) {
		if (eat(v, 'n'))
			print(v, "-");
		hex_number(v);
	} else {
		v->bad = true;
	}
	leave(v);
}

char *rust_v0_demangle(const char *symbol)
{
	struct v0 v = {.text = symbol + 2};
	char *text;

	v.len = strcspn(v.text, ".$"); /* a suffix is the linker's, or LLVM's */
	v.out = malloc(MAX_OUTPUT + 1);
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
