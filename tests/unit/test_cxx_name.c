/* Names of classes, as the C++ runtime's own demangler spells them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/types.h"
#include "report/cxx_name.h"

static const struct {
	const char *mangled, *name;
} names[] = {
	{"N3app5CacheE", "app::Cache"},
	{"5Cache", "Cache"},
	{"N3app3BoxIiEE", "app::Box<int>"},
	{"N1AIiE1BE", "A<int>::B"},
	{"St9exception", "std::exception"},
	{"St3mapISsSt6vectorIiSaIiEESt4lessISsESaISt4pairIKSsS2_EEE",
	 "std::map<std::string, std::vector<int, std::allocator<int> >, "
	 "std::less<std::string>, "
	 "std::allocator<std::pair<std::string const, std::vector<int, std::allocator<int> > > "
	 "> >"},
	{"St23_Sp_counted_ptr_inplaceIN3app7SessionESaIvELN9__gnu_cxx12_Lock_policyE2EE",
	 "std::_Sp_counted_ptr_inplace<app::Session, std::allocator<void>, "
	 "(__gnu_cxx::_Lock_policy)2>"},
	{"N12_GLOBAL__N_11AE", "(anonymous namespace)::A"},
	{"N3foo3barB5cxx11E", "foo::bar[abi:cxx11]"},
	{"1AIJEE", "A<>"},
	{"1AIiJEE", "A<int>"},
	{"1AIJicEE", "A<int, char>"},
	{"1AILb1ELs2ELj3ELin5ELc97ELN3app4KindE2EE",
	 "A<true, (short)2, 3u, -5, (char)97, (app::Kind)2>"},
	{"1AIDnDiDsKDnE", "A<decltype(nullptr), char32_t, char16_t, decltype(nullptr) const>"},
	{"1AIPKcS0_RS1_OS_E", "A<char const*, char const, char const*&, A&&>"},
	{"St8functionIFivEE", "std::function<int ()>"},
	{"1AIPFivEPPFicEKS1_DoFvvEKFvvEE",
	 "A<int (*)(), int (**)(char), int (* const)(), void () noexcept, void () const>"},
	{"1AIM1XiM1XFvvEM1XKFvvEE", "A<int X::*, void (X::*)(), void (X::*)() const>"},
	{"1AIRA3_iPA3_KiKA3_iA3_A4_iS7_E",
	 "A<int (&) [3], int const (*) [3], int const [3], int [3][4], int [4]>"},
	{"1AIXadL_Z3fooiEEE", "A<&(foo(int))>"},
	{"Z4mainE1A", "main::A"},
	{"ZZ4mainENKUliE_clEiE1A_0", "main::{lambda(int)#1}::operator()(int) const::A"},
	{"ZNK3foo3barEvE1X", "foo::bar() const::X"},
	{"ZN3fooC4EvE1A", "foo::foo()::A"},
	{"ZN3fooD1EvEUt_", "foo::~foo()::{unnamed type#1}"},
	{"ZN1AIiE1fEvEUlvE0_", "A<int>::f()::{lambda()#2}"},
	{"Z1fIiSaIiEEvT0_E1A", "f<int, std::allocator<int> >(std::allocator<int>)::A"},
	{"Z1fIJicEEvDpT_E1B", "f<int, char>(int, char)::B"},
	{"ZN1DC1IiEER1ST_EUlvE_", "D::D<int>(S&, int)::{lambda()#1}"},
	{"Z1gIZ1fIiEvPKT_EUlvE_EvS2_E1A",
	 "g<f<int>(int const*)::{lambda()#1}>(f<int>(int const*)::{lambda()#1} const)::A"},
};

/* malloc'ed; NULL: not read. */
static char *print(const char *mangled, size_t room)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	bool ok;

	assert_non_null(out);
	ok = cxx_name_print(out, mangled, room);
	fclose(out);
	assert_true(len <= 403);
	if (ok)
		return text;
	assert_int_equal(len, 0);
	free(text);
	return NULL;
}

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *name = print(names[i].mangled, SIZE_MAX);
		if (!name)
			fail_msg("%s: not read", names[i].mangled);
		assert_string_equal(name, names[i].name);
		free(name);
	}
}

/* Other things than names, and what is not read, or leads into itself or nowhere. */
static void test_none(void **state)
{
	static const char *const none[] = {
		"",	    "i",
		"N",	    "N3appE1",
		"N3ap",	    "5cach",
		"S0_",	    "1AIS0_E",
		"1AIiE_",   "1AIT_E",
		"0x",	    "1AIDTfp_EE",
		"ZnwmE1A",  "99999999999999999999a",
		"N3appREK", "9\0aaaaaaaa",
		"U3foo",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		if (print(none[i], SIZE_MAX))
			fail_msg("\"%s\" is read", none[i]);
}

/* A name that was cut off anywhere: of what it means the beginning, and dots. */
static void test_cut_off(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (size_t len = 1; len < strlen(names[i].mangled); len++) {
			char *part = strndup(names[i].mangled, len),
			     *name = print(part, len + 1);
			size_t same = 0;

			if (!name)
				fail_msg("%s is not read", part);
			while (name[same] && name[same] == names[i].name[same])
				same++;
			if (strcmp(name + same, "...") && strcmp(name + same, ", ..."))
				fail_msg("%s: %s", part, name);
			free(name);
			free(part);
		}
}

/* Each reference doubles the name: it ends at its length. */
static void test_that_grows(void **state)
{
	static const char mangled[] =
		"1AI1BIiiES0_IS1_S1_ES0_IS2_S2_ES0_IS3_S3_ES0_IS4_S4_ES0_IS5_S5_ES0_IS6_S6_EE";
	char *name = print(mangled, SIZE_MAX);

	(void)state;
	assert_non_null(name);
	assert_string_equal(name + 400, "...");
	assert_memory_equal(name, "A<B<int, int>, B<B<int, int>, B<int, int> >, ", 45);
	free(name);
}

/* Locals of locals, in what a function returns, which is not shown: it ends at its depth. */
static void test_that_is_deep(void **state)
{
	enum { LEVELS = 1000 };
	char mangled[4 * LEVELS + 32] = "Z1fIiE", *at = mangled + 6;

	(void)state;
	for (int i = 0; i < LEVELS; i++, at += 4)
		memcpy(at, "Z1aE", 4);
	strcpy(at, "1bvE1c");
	assert_null(print(mangled, SIZE_MAX));
	memcpy(mangled + 6 + 4 * 40, "1bvE1c", 7);
	at = print(mangled, SIZE_MAX);
	assert_string_equal(at, "f<int>()::c");
	free(at);
}

/* A literal of any length, which is read again and again: of a long name but the beginning is read. */
static void test_that_is_long(void **state)
{
	enum { DIGITS = 100000 };
	char *mangled = calloc(1, DIGITS + 32), *name;

	(void)state;
	strcpy(mangled, "Z1fIiEZ1gILi");
	memset(mangled + 12, '1', DIGITS);
	strcpy(mangled + 12 + DIGITS, "EiEvT0_E1cvE1d");
	name = print(mangled, SIZE_MAX);
	assert_string_equal(name, "f<int>...");
	free(name);
	free(mangled);
}

/* Any bytes changed in a name: it is read or not, within its memory and its limits. */
static void test_changed(void **state)
{
	static const char letters[] = "0123456789NSZIEKPRTLJXUCDFAMv_it";

	(void)state;
	srand(1);
	for (int i = 0; i < 30000; i++) {
		char *name = strdup(names[(size_t)rand() % ARRAY_SIZE(names)].mangled), *text;

		for (int k = rand() % 4; k >= 0; k--)
			name[(size_t)rand() % strlen(name)] =
				letters[(size_t)rand() % (sizeof(letters) - 1)];
		text = print(name, rand() % 2 ? SIZE_MAX : strlen(name) + 1);
		free(text);
		free(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	cmocka_unit_test(test_none),
		cmocka_unit_test(test_cut_off), cmocka_unit_test(test_that_grows),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_that_is_deep), cmocka_unit_test(test_that_is_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
