/*
 * Cleaning up after predecessors.
 *
 * An area of stubs has a header (arch.h) at a multiple of 16 bytes in a module's slack;
 * patches are found by looking where the functions of our table jump to.  First the
 * patches go: from then on no thread enters.  Those inside leave within microseconds,
 * or when the call that they are in returns; then the area goes, too.  One in which a
 * thread stays is looked at again when we leave ourselves.
 */
#include "capture/heritage.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "capture/plan.h"
#include "tracer/hide.h"

enum { ALIGN = 16, HEAD = 16, RANGES = 64, TRIES = 100, PAUSE_NS = 2000000 };

void heritage_visit(struct tracee *tracee, const struct slack *slack,
		    bool (*visit)(void *arg, taddr_t begin, taddr_t end), void *arg)
{
	const struct arch *arch = tracee->arch;
	uint8_t *bytes = malloc(slack->room);
	uint32_t len;

	for (uint32_t at = 0; bytes && at + HEAD <= slack->room; at += ALIGN) {
		if (at == 0 && target_read(&tracee->target, slack->base, bytes, slack->room))
			break;
		memcpy(&len, bytes + at + arch->magic_len, sizeof(len));
		if (memcmp(bytes + at, arch->magic, arch->magic_len) || len < HEAD ||
		    len > slack->room - at)
			continue;
		if (visit(arg, slack->base + at, slack->base + at + len))
			break;
	}
	free(bytes);
}

struct heritage {
	struct tracee *tracee;
	const struct modules *modules;
	const struct maps *maps;
	struct hide_range ranges[RANGES]; /* of areas; begin - 1, as a header is no target */
	uint32_t homes[RANGES];
	size_t count;
	uint32_t home;
};

static bool area_note(void *arg, taddr_t begin, taddr_t end)
{
	struct heritage *h = arg;

	h->homes[h->count] = h->home;
	h->ranges[h->count++] = (struct hide_range){begin - 1, end};
	return h->count == RANGES;
}

static void areas_find(struct heritage *h)
{
	for (size_t i = 0; i < h->modules->mapped.len && h->count < RANGES; i++) {
		struct slack slack;

		if (!slack_of(h->modules->mapped.at[i], h->maps, &slack))
			continue;
		h->home = h->modules->mapped.at[i]->instance;
		heritage_visit(h->tracee, &slack, area_note, h);
	}
}

static bool leads_into(const struct heritage *h, taddr_t target)
{
	for (size_t i = 0; i < h->count; i++)
		if (target > h->ranges[i].begin && target < h->ranges[i].end)
			return true;
	return false;
}

/* One function: if it is patched to jump into an area, its file's bytes come back. */
static void function_restore(struct heritage *h, struct module *module, const char *name)
{
	const struct arch *arch = h->tracee->arch;
	struct image_symbol symbol;
	uint8_t code[32], there[16];
	taddr_t at;
	uint32_t skip;

	if (!image_symbol_find(module->image, name, &symbol) ||
	    image_read(module->image, symbol.value, code, sizeof(code)))
		return;
	skip = arch->patch_offset(code, sizeof(code));
	at = module->bias + symbol.value + skip;
	if (target_read(&h->tracee->target, at, there, arch->patch_len) ||
	    memcmp(there, code + skip, arch->patch_len) == 0)
		return;
	if (leads_into(h, arch->patch_target(there, at)))
		target_write(&h->tracee->target, at, code + skip, arch->patch_len);
}

static void patches_restore(struct heritage *h)
{
	for (size_t i = 0; i < h->modules->mapped.len; i++) {
		struct module *module = h->modules->mapped.at[i];

		for (int loader = 0; loader < 2 && module->image; loader++) {
			size_t count;
			const struct function *functions = hooks_functions(loader, &count);

			for (size_t f = 0; f < count; f++)
				function_restore(h, module, functions[f].name);
		}
	}
}

static void area_wipe(const struct heritage *h, size_t i)
{
	struct slack slack = {.base = h->ranges[i].begin + 1, .home = h->homes[i]};
	size_t len = (size_t)(h->ranges[i].end - slack.base);
	const struct module *home = modules_by_instance(h->modules, slack.home);
	uint8_t *original = malloc(len);

	if (original && home && slack_original(home, &slack, original, len) == 0)
		target_write(&h->tracee->target, slack.base, original, len);
	free(original);
}

/* The file's bytes come back where nobody is inside; the others are kept in mind. */
static void areas_wipe(struct heritage *h)
{
	bool nobody = !hide_has_address(h->tracee, h->ranges, h->count);
	size_t kept = 0;

	for (size_t i = 0; i < h->count; i++) {
		if (nobody || !hide_has_address(h->tracee, &h->ranges[i], 1)) {
			area_wipe(h, i);
			continue;
		}
		h->ranges[kept] = h->ranges[i];
		h->homes[kept++] = h->homes[i];
	}
	h->count = kept;
}

int heritage_clear(struct tracee *tracee, const struct modules *modules,
		   const struct maps *maps, void (*handle)(void *arg, struct stop *stop),
		   void *arg, bool *left, struct err *err)
{
	struct heritage h = {.tracee = tracee, .modules = modules, .maps = maps};

	areas_find(&h);
	for (int tries = 0; tries < TRIES && h.count; tries++) {
		struct timespec pause = {0, PAUSE_NS};
		int rc;

		if (tries)
			nanosleep(&pause, NULL);
		rc = tracee_stop(tracee, handle, arg, err);
		if (rc)
			return rc;
		if (!tries)
			patches_restore(&h);
		areas_wipe(&h);
		tracee_resume(tracee);
	}
	*left = h.count != 0;
	return 0;
}

void heritage_wipe(struct tracee *tracee, const struct modules *modules,
		   const struct maps *maps)
{
	struct heritage h = {.tracee = tracee, .modules = modules, .maps = maps};

	areas_find(&h);
	areas_wipe(&h);
}
