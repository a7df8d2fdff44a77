/*
 * What the region says of its target: whose it is, what its times mean, what the instances in
 * its frames stand for.  memtrace itself needs none of it, as it knows; it is for who comes to
 * the region when this memtrace has gone.
 */
#include "capture/origin.h"

#include <string.h>

#include "base/clock.h"

enum { TICKS_PER_SECOND = 100 };

static void module_write(struct ledger *ledger, const struct module *module)
{
	size_t len = strlen(module->id.path);
	struct region_module own = {
		.begin = module->begin,
		.end = module->end,
		.bias = module->bias,
		.mapped = module->mapped,
		.id_len = module->id.build_id_len,
		.path_len = (uint16_t)(len < UINT16_MAX ? len : UINT16_MAX),
	};

	_Static_assert(sizeof(own.id) == sizeof(module->id.build_id), "a whole build-id");
	memcpy(own.id, module->id.build_id, sizeof(own.id));
	memcpy(own.path, module->id.path, len < sizeof(own.path) ? len : sizeof(own.path));
	/* (no memory for one: what comes later finds a frame without a module) */
	(void)region_set_module(ledger->region, &ledger->space, module->instance, &own);
}

void origin_write(struct ledger *ledger, pid_t pid)
{
	const struct modules *modules = ledger->walker.modules;
	struct timespec now;
	uint64_t since = (uint64_t)(clock_ms() - ledger->started_ms) * 1000000;
	struct region_origin origin = {
		.pid = (uint32_t)pid,
		.ticks_per_second = TICKS_PER_SECOND,
		.start_time = status_start(pid),
		.monotonic_ns = (uint64_t)ledger->started_ms * 1000000,
	};

	clock_gettime(CLOCK_REALTIME, &now);
	origin.realtime_ns =
		(uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec - since;
	region_set_origin(ledger->region, &origin);
	for (size_t i = 0; i < modules->list.len; i++)
		module_write(ledger, modules->list.at[i]);
}
