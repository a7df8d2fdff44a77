/* What the region says of its target: this program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/origin.h"
#include "region/reader.h"

static struct modules modules;
static struct ledger ledger;
static struct reader reader;

static void update(void)
{
	struct maps maps = {0};
	struct err err;

	assert_int_equal(maps_read(getpid(), &maps, &err), 0);
	assert_int_equal(modules_update(&modules, getpid(), &maps, NULL, NULL, &err), 0);
	maps_deinit(&maps);
	origin_write(&ledger, getpid());
	assert_int_equal(reader_open(&reader, ledger.space.base, ledger.space.limit), 0);
}

static uint64_t stat_start(void)
{
	unsigned long long start = 0;
	char text[1024] = "";
	FILE *file = fopen("/proc/self/stat", "re");

	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	sscanf(strrchr(text, ')'),
	       ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
	       &start);
	return start;
}

static void test_whose_it_is(void **state)
{
	struct timespec wall;
	uint64_t wall_ns, apart;

	(void)state;
	update();
	clock_gettime(CLOCK_REALTIME, &wall);
	wall_ns = (uint64_t)wall.tv_sec * 1000000000 + (uint64_t)wall.tv_nsec -
		  (uint64_t)clock_ns();
	assert_int_equal(reader.region->origin.pid, getpid());
	assert_int_equal(reader.region->origin.ticks_per_second, 100);
	assert_int_equal(reader.region->origin.start_time, stat_start());
	assert_int_equal(reader.region->origin.monotonic_ns, ledger.started_ms * 1000000);
	/* The same moment by both clocks. */
	apart = reader.region->origin.realtime_ns - reader.region->origin.monotonic_ns - wall_ns;
	assert_true(apart + 1000000000 < 2000000000);
}

static void test_its_modules(void **state)
{
	struct module *self = modules_find(&modules, (uintptr_t)test_its_modules);
	struct region_module read;
	uint32_t epoch;

	(void)state;
	update();
	epoch = reader.region->modules_epoch;
	assert_int_equal(epoch, modules.list.len);
	assert_int_equal(reader_module_count(&reader), modules.list.len);
	assert_true(reader_module(&reader, self->instance, &read));
	assert_true(read.begin <= (uintptr_t)test_its_modules &&
		    (uintptr_t)test_its_modules < read.end);
	assert_true(read.bias == self->bias && read.mapped);
	assert_int_equal(read.path_len, strlen(self->id.path));
	assert_memory_equal(read.path, self->id.path, read.path_len);
	assert_true(read.id_len == self->id.build_id_len && read.id_len > 0);
	assert_memory_equal(read.id, self->id.build_id, read.id_len);
	update();
	assert_int_equal(reader.region->modules_epoch, epoch);
	self->mapped = false;
	origin_write(&ledger, getpid());
	assert_int_equal(reader.region->modules_epoch, epoch + 1);
	assert_true(reader_module(&reader, self->instance, &read));
	assert_false(read.mapped);
	self->mapped = true;
}

static int setup(void **state)
{
	(void)state;
	modules_init(&modules, module_unwind_forget);
	walker_init(&ledger.walker, NULL, &modules, NULL, NULL);
	ledger_start(&ledger, getpid());
	ledger.started_ms -= 100000;
	return region_space_private(&ledger.space, 1u << 28) ||
	       region_init(&ledger.space, &ledger.region);
}

static int teardown(void **state)
{
	(void)state;
	modules_deinit(&modules);
	region_space_deinit(&ledger.space);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose_it_is),
		cmocka_unit_test(test_its_modules),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
