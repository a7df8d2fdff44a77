/* What /proc/PID/smaps says of mappings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tracer/smaps.h"

static void parse(const char *text, struct smaps *ret)
{
	FILE *file = fmemopen((void *)text, strlen(text), "r");

	assert_non_null(file);
	assert_int_equal(smaps_parse(file, ret), 0);
	fclose(file);
}

static void flags_and_sizes(void **state)
{
	struct smaps look;

	(void)state;
	parse("55d0c0000000-55d0c0021000 rw-p 00000000 00:00 0   [heap]\n"
	      "Size:                132 kB\nRss:                  64 kB\n"
	      "AnonHugePages:         0 kB\nSwap:                 12 kB\nVmFlags: rd wr mr mw me ac sd \n"
	      "7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \n"
	      "Rss:                2048 kB\nAnonHugePages:      2048 kB\n"
	      "VmFlags: rd wr mr mw me ac dc hg sd \n"
	      "7f0000400000-7f0000401000 rw-p 00000000 00:00 0 \n"
	      "Rss:                   4 kB\nVmFlags: rd wr mr mw me ac wf \n"
	      "7f0000500000-7f0000501000 rw-s 00000000 00:05 9   /dev/thing\n"
	      "Rss:                   0 kB\nVmFlags: rd wr sh mr mw me ms io dc de dd pf \n",
	      &look);
	assert_int_equal(look.resident_bytes, (64 + 2048 + 4) * 1024);
	assert_int_equal(look.huge_bytes, 2048 * 1024);
	assert_int_equal(look.uses.len, 4);
	assert_int_equal(look.uses.at[0].resident, 64 * 1024);
	assert_int_equal(look.uses.at[0].swapped, 12 * 1024);
	assert_int_equal(look.uses.at[1].range.begin, 0x7f0000000000);
	assert_int_equal(look.uses.at[1].swapped, 0);
	assert_int_equal(look.uses.at[3].resident, 0);
	assert_int_equal(look.absent.len, 2);
	assert_int_equal(look.absent.at[0].begin, 0x7f0000000000);
	assert_int_equal(look.absent.at[0].end, 0x7f0000200000);
	assert_int_equal(look.absent.at[1].begin, 0x7f0000400000);
	assert_int_equal(look.absent_bytes, (2048 + 4) * 1024);
	assert_int_equal(look.device.len, 1);
	assert_int_equal(look.device.at[0].begin, 0x7f0000500000);
	assert_false(look.lazy);
	smaps_deinit(&look);
}

static void a_page_server(void **state)
{
	struct smaps look;

	(void)state;
	parse("7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \nVmFlags: rd wr um ac \n", &look);
	assert_true(look.lazy);
	smaps_deinit(&look);
}

/* A line that is longer than the buffer is one line. */
static void a_long_path(void **state)
{
	struct smaps look;
	char text[2048] = "7f0000000000-7f0000200000 r--p 00000000 08:01 9   /";

	(void)state;
	memset(text + strlen(text), 'V', 900);
	strcat(text, "VmFlags: um \nRss:   8 kB\nVmFlags: rd mr \n");
	parse(text, &look);
	assert_false(look.lazy);
	assert_int_equal(look.resident_bytes, 8192);
	smaps_deinit(&look);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_and_sizes),
		cmocka_unit_test(a_page_server),
		cmocka_unit_test(a_long_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
