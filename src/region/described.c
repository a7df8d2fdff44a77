/* What the region says of its target, for who comes to it later: whose it is, and its modules. */
#include "region/arrays.h"
#include "region/layout.h"
#include "region/region.h"
#include "region/sequence.h"

void region_set_origin(struct region *region, const struct region_origin *origin)
{
	region->origin = *origin;
}

static bool module_is(const struct region_module *a, const struct region_module *b)
{
	const uint64_t *x = (const uint64_t *)a->id, *y = (const uint64_t *)b->id;
	size_t words = (sizeof(*a) - offsetof(struct region_module, id)) / sizeof(*x);

	while (words && x[words - 1] == y[words - 1])
		words--;
	return !words && a->begin == b->begin && a->end == b->end && a->bias == b->bias &&
	       a->mapped == b->mapped && a->id_len == b->id_len && a->path_len == b->path_len;
}

bool region_set_module(struct region *region, struct region_space *space, uint32_t instance,
		       const struct region_module *module)
{
	struct region_module *own, next = *module;

	if (!instance || instance >= FRAME_INSTANCES)
		return false;
	while (region->arrays[REGION_MODULES].count < instance) {
		if (!arrays_room(region, space, REGION_MODULES))
			return false;
		arrays_publish(region, REGION_MODULES);
	}
	own = arrays_at(region, REGION_MODULES, instance - 1);
	if (module_is(own, module))
		return true;
	sequence_begin(&own->sequence);
	next.sequence = own->sequence;
	*own = next;
	sequence_end(&own->sequence);
	__atomic_store_n(&region->modules_epoch, region->modules_epoch + 1, __ATOMIC_RELEASE);
	return true;
}
