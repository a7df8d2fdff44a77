/* The characters of a Rust v0 symbol, its numbers and identifiers; what they mean together is
 * rust_v0.c's. */
#include "serve/rust_text.h"

#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 128 };

void rust_text_put(struct rust_text *v, const char *text, size_t len)
{
	if (v->mute || v->bad)
		return;
	if (len > RUST_TEXT_MAX - v->out_len) {
		v->bad = true;
		return;
	}
	memcpy(v->out + v->out_len, text, len);
	v->out_len += len;
}

void rust_text_print(struct rust_text *v, const char *text)
{
	rust_text_put(v, text, strlen(text));
}

void rust_text_number(struct rust_text *v, uint64_t number)
{
	char text[24];

	rust_text_put(v, text,
		      (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)number));
}

char rust_text_peek(const struct rust_text *v)
{
	return v->at < v->len ? v->text[v->at] : '\0';
}

bool rust_text_eat(struct rust_text *v, char c)
{
	if (v->bad || rust_text_peek(v) != c || !c)
		return false;
	v->at++;
	return true;
}

char rust_text_next(struct rust_text *v)
{
	char c = rust_text_peek(v);

	if (c)
		v->at++;
	else
		v->bad = true;
	return c;
}

bool rust_text_enter(struct rust_text *v)
{
	if (v->bad || ++v->depth > MAX_DEPTH)
		v->bad = true;
	return !v->bad;
}

void rust_text_leave(struct rust_text *v)
{
	v->depth--;
}

uint64_t rust_text_base62(struct rust_text *v)
{
	uint64_t value = 0;

	if (rust_text_eat(v, '_'))
		return 0;
	while (!v->bad && !rust_text_eat(v, '_')) {
		char c = rust_text_next(v);
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

uint64_t rust_text_tagged62(struct rust_text *v, char tag)
{
	return rust_text_eat(v, tag) ? rust_text_base62(v) + 1 : 0;
}

struct rust_name rust_text_bare(struct rust_text *v)
{
	struct rust_name name = {.punycode = rust_text_eat(v, 'u')};
	bool any = false;

	while (rust_text_peek(v) >= '0' && rust_text_peek(v) <= '9' && name.len <= v->len) {
		name.len = name.len * 10 + (size_t)(rust_text_next(v) - '0');
		any = true;
		if (!name.len)
			break; /* no leading zeros */
	}
	rust_text_eat(v, '_');
	if (!any || v->bad || name.len > v->len - v->at) {
		v->bad = true;
		return (struct rust_name){};
	}
	name.text = v->text + v->at;
	v->at += name.len;
	return name;
}

struct rust_name rust_text_identifier(struct rust_text *v)
{
	uint64_t disambiguator = rust_text_tagged62(v, 's');
	struct rust_name name = rust_text_bare(v);

	name.disambiguator = disambiguator;
	return name;
}

void rust_text_name(struct rust_text *v, struct rust_name name)
{
	if (name.punycode)
		rust_text_print(v, "punycode{");
	rust_text_put(v, name.text, name.len);
	if (name.punycode)
		rust_text_print(v, "}");
}
