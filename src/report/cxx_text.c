/* Parts of mangled names that have no parts; see cxx_text.h. */
#include "report/cxx_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/types.h"

void cxx_fail(struct cxx_reading *r, enum cxx_outcome outcome)
{
	if (r->outcome == CXX_GOES_ON)
		r->outcome = outcome;
}

void cxx_put_bytes(struct cxx_reading *r, const char *text, size_t len)
{
	if (r->muted || r->outcome != CXX_GOES_ON)
		return;
	if (len > CXX_MAX_TEXT - r->len) {
		len = CXX_MAX_TEXT - r->len;
		r->outcome = CXX_CUT;
	}
	memcpy(r->text + r->len, text, len);
	r->len += len;
}

void cxx_put(struct cxx_reading *r, const char *text)
{
	cxx_put_bytes(r, text, strlen(text));
}

void cxx_put_number(struct cxx_reading *r, unsigned long n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", n);
	cxx_put(r, text);
}

char cxx_peek(const struct cxx_reading *r)
{
	return r->outcome == CXX_GOES_ON && r->at < r->end ? *r->at : '\0';
}

bool cxx_take(struct cxx_reading *r, const char *text)
{
	size_t len = strlen(text);

	if (r->outcome != CXX_GOES_ON || (size_t)(r->end - r->at) < len ||
	    memcmp(r->at, text, len))
		return false;
	r->at += len;
	return true;
}

void cxx_not_read(struct cxx_reading *r)
{
	static const ptrdiff_t longest = sizeof("XadL_Z") - 1;

	cxx_fail(r, r->cut_off && r->end - r->at < longest ? CXX_CUT : CXX_NOT_READ);
}

void cxx_need(struct cxx_reading *r, const char *text)
{
	if (!cxx_take(r, text))
		cxx_not_read(r);
}

bool cxx_enter(struct cxx_reading *r)
{
	if (++r->depth > CXX_MAX_DEPTH || ++r->steps > CXX_MAX_STEPS)
		cxx_fail(r, CXX_NOT_READ);
	return r->outcome == CXX_GOES_ON;
}

unsigned long cxx_number(struct cxx_reading *r)
{
	unsigned long n = 0;

	if (!isdigit((unsigned char)cxx_peek(r)))
		cxx_not_read(r);
	for (; isdigit((unsigned char)cxx_peek(r)) && n < 100000; r->at++)
		n = 10 * n + (unsigned long)(*r->at - '0');
	return n;
}

unsigned long cxx_index(struct cxx_reading *r, unsigned base)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	unsigned long n = 0;
	const char *digit;

	if (cxx_take(r, "_"))
		return 0;
	while (cxx_peek(r) && (digit = memchr(digits, cxx_peek(r), base)) && n < 100000) {
		n = base * n + (unsigned long)(digit - digits);
		r->at++;
	}
	cxx_need(r, "_");
	return n + 1;
}

void cxx_discriminator(struct cxx_reading *r)
{
	if (cxx_take(r, "__")) {
		cxx_number(r);
		cxx_need(r, "_");
	} else if (cxx_take(r, "_")) {
		cxx_number(r);
	}
}

void cxx_remember(struct cxx_reading *r, const char *at, bool nested)
{
	if (r->again || r->outcome != CXX_GOES_ON)
		return;
	if (r->back_count == CXX_MAX_BACK)
		cxx_fail(r, CXX_NOT_READ);
	else
		r->back[r->back_count++] = (struct cxx_seen){at, r->at, nested};
}

void cxx_source_name(struct cxx_reading *r)
{
	static const char anonymous[] = "_GLOBAL__N";
	static const size_t most = sizeof(anonymous) - 1;
	unsigned long len;
	bool whole;

	r->last = r->at;
	len = cxx_number(r);
	whole = len <= (size_t)(r->end - r->at);
	if (!len || (!whole && !r->cut_off))
		cxx_fail(r, CXX_NOT_READ);
	if (!whole)
		len = (size_t)(r->end - r->at);
	if (len >= most && !memcmp(r->at, anonymous, most))
		cxx_put(r, "(anonymous namespace)");
	else if (whole || memcmp(r->at, anonymous, len < most ? len : most) != 0)
		cxx_put_bytes(r, r->at, len);
	r->at += r->outcome == CXX_GOES_ON ? len : 0;
	if (!whole)
		cxx_fail(r, CXX_CUT);
	while (cxx_take(r, "B")) {
		cxx_put(r, "[abi:");
		len = cxx_number(r);
		if (len > (size_t)(r->end - r->at))
			cxx_fail(r, r->cut_off ? CXX_CUT : CXX_NOT_READ);
		cxx_put_bytes(r, r->at, len);
		r->at += r->outcome == CXX_GOES_ON ? len : 0;
		cxx_put(r, "]");
	}
}

const char *cxx_qualifiers(struct cxx_reading *r)
{
	const char *text = "";

	while (cxx_peek(r) && strchr("rVK", cxx_peek(r))) {
		text = *r->at == 'K' ? (*text ? " const volatile" : " const") : " volatile";
		r->at++;
	}
	return text;
}

const char *cxx_standard(char which)
{
	switch (which) {
	case 'a':
		return "std::allocator";
	case 'b':
		return "std::basic_string";
	case 's':
		return "std::string";
	case 'i':
		return "std::istream";
	case 'o':
		return "std::ostream";
	case 'd':
		return "std::iostream";
	default:
		return NULL;
	}
}

bool cxx_is_back(const struct cxx_reading *r)
{
	return cxx_peek(r) == 'S' && r->at + 1 < r->end && r->at[1] != 't';
}

const char *cxx_back_end(const struct cxx_reading *r)
{
	const char *at = r->at + 2;

	if (r->at[1] >= 'a')
		return at;
	while (at[-1] != '_' && at < r->end)
		at++;
	return at;
}

static const char *by_letter(const char *const *names, size_t count, char letter)
{
	for (size_t i = 0; i < count; i++)
		if (names[i][0] == letter)
			return names[i] + 1;
	return NULL;
}

const char *cxx_builtin(struct cxx_reading *r)
{
	static const char *const names[] = {
		"asigned char", "bbool",
		"cchar",	"ddouble",
		"elong double", "ffloat",
		"g__float128",	"hunsigned char",
		"iint",		"junsigned int",
		"llong",	"munsigned long",
		"n__int128",	"ounsigned __int128",
		"sshort",	"tunsigned short",
		"vvoid",	"wwchar_t",
		"xlong long",	"yunsigned long long",
		"z...",
	};
	static const char *const later[] = {
		/* behind a D */
		"aauto", "cdecltype(auto)", "ddecimal64",	  "edecimal128", "fdecimal32",
		"hhalf", "ichar32_t",	    "ndecltype(nullptr)", "schar16_t",	 "uchar8_t",
	};
	bool two = cxx_peek(r) == 'D' && r->at + 1 < r->end;
	const char *name = two ? by_letter(later, ARRAY_SIZE(later), r->at[1])
			       : by_letter(names, ARRAY_SIZE(names), cxx_peek(r));

	if (name)
		r->at += two ? 2 : 1;
	return name;
}

const char *cxx_indirection(struct cxx_reading *r)
{
	static const char *const signs[] = {"P*", "R&", "O&&"};
	const char *sign = by_letter(signs, ARRAY_SIZE(signs), cxx_peek(r));

	r->at += sign != NULL;
	return sign;
}

bool cxx_no_parameters(struct cxx_reading *r)
{
	bool none = cxx_peek(r) == 'v' && (r->at + 1 == r->end || r->at[1] == 'E');

	r->at += none;
	return none;
}

const char *cxx_literal_suffix(struct cxx_reading *r)
{
	static const char *const suffixes[] = {"i", "ju", "ll", "mul", "xll", "yull"};
	const char *suffix = by_letter(suffixes, ARRAY_SIZE(suffixes), cxx_peek(r));

	if (r->end - r->at < (cxx_peek(r) == 'b' ? 3 : 1)) /* of "b1E" */
		cxx_not_read(r);
	r->at += suffix != NULL;
	return suffix;
}

void cxx_put_value(struct cxx_reading *r)
{
	cxx_put(r, cxx_take(r, "n") ? "-" : "");
	for (; isdigit((unsigned char)cxx_peek(r)); r->at++)
		cxx_put_bytes(r, r->at, 1);
}
