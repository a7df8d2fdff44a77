/* Identities: copied whole, compared by parts, and nothing taken that is too long to be one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "elf/module_id.h"

static void test_copy(void **state)
{
	char path[] = "/lib/libx.so";
	struct module_id copy, id = {.path = path, .build_id = {1, 2}, .build_id_len = 2};

	(void)state;
	assert_true(module_id_set_debuglink(&id, "x.debug", 7));
	assert_true(module_id_copy(&copy, &id));
	path[1] = '\0';
	assert_string_equal(copy.path, "/lib/libx.so");
	assert_string_equal(module_id_name(&copy), "libx.so");
	assert_true(module_id_same_build(&copy, &id));
	assert_true(module_id_same_debuglink(&copy, &id));
	module_id_deinit(&copy);
	assert_null(copy.path);
	assert_string_equal(module_id_name(&copy), "");
	assert_true(module_id_copy(&copy, &copy)); /* one without a path */
	assert_null(copy.path);
}

static void test_too_long(void **state)
{
	char name[MODULE_ID_DEBUGLINK + 1], hex[MODULE_ID_HEX];
	uint8_t bytes[MODULE_ID_BUILD_ID + 1];
	struct module_id id = {0};

	(void)state;
	memset(bytes, 0xa5, sizeof(bytes));
	memset(name, 'n', sizeof(name));
	name[MODULE_ID_DEBUGLINK] = '\0';
	assert_false(module_id_set_debuglink(&id, name, 7));
	assert_false(module_id_set_debuglink(&id, "", 7));
	assert_false(module_id_set_debuglink(&id, NULL, 7));
	assert_int_equal(id.debuglink_crc, 0);
	name[MODULE_ID_DEBUGLINK - 1] = '\0';
	assert_true(module_id_set_debuglink(&id, name, 7));
	assert_string_equal(id.debuglink, name);
	assert_false(module_id_set_fingerprint(&id, bytes, MODULE_ID_FINGERPRINT + 1));
	assert_true(module_id_set_fingerprint(&id, bytes, MODULE_ID_FINGERPRINT));
	assert_false(module_id_set_build_id(&id, bytes, MODULE_ID_BUILD_ID + 1));
	assert_int_equal(id.build_id_len, 0);
	assert_true(module_id_set_build_id(&id, bytes, MODULE_ID_BUILD_ID));
	module_id_hex(id.build_id, id.build_id_len, hex);
	assert_int_equal(strlen(hex), 2 * MODULE_ID_BUILD_ID);
	assert_memory_equal(hex, "a5a5", 4);
	assert_string_equal(module_id_hex(id.build_id, 0, hex), "");
}

static void test_same(void **state)
{
	struct module_id a = {.build_id = {1, 2}, .build_id_len = 2}, b = a;

	(void)state;
	b.build_id_len = 1;
	assert_false(module_id_same_build(&a, &b));
	b.build_id_len = 2;
	assert_true(module_id_same_build(&a, &b));
	b.build_id[1] = 3;
	assert_false(module_id_same_build(&a, &b));
	a.fingerprint_len = b.fingerprint_len = 2;
	assert_true(module_id_same_fingerprint(&a, &b));
	a.fingerprint[1] = 1;
	assert_false(module_id_same_fingerprint(&a, &b));
	module_id_set_debuglink(&a, "x", 1);
	module_id_set_debuglink(&b, "x", 2);
	assert_false(module_id_same_debuglink(&a, &b));
	module_id_set_debuglink(&b, "x", 1);
	assert_true(module_id_same_debuglink(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
