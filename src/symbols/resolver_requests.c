/* Questions: what is under way, and how each is written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbols/resolver_parts.h"

enum { BATCH = 512 }; /* offsets per LOOKUP */

void resolver_drop(struct resolver *r, size_t index)
{
	struct request *request = &r->requests.at[index];

	r->lookups -= request->type == WIRE_LOOKUP;
	/* What was not answered waits again, for another connection. */
	for (uint32_t i = request->answered; request->entries && i < request->count; i++)
		(void)vec_push(&request->module->waiting, request->entries[i]);
	free(request->entries);
	memmove(request, request + 1, (r->requests.len - index - 1) * sizeof(*request));
	r->requests.len--;
}

struct request *resolver_request(struct resolver *r, enum wire_type type,
				 struct cache_module *module)
{
	struct request request = {.id = ++r->last_id, .type = type, .module = module};

	return vec_push(&r->requests, request) ? &r->requests.at[r->requests.len - 1] : NULL;
}

int resolver_ask_module(struct resolver *r, struct cache_module *module, struct err *err)
{
	struct request *request;

	if (module->asked)
		return 0;
	request = resolver_request(r, WIRE_MODULE, module);
	if (!request)
		return err_set(err, -ENOMEM, "no memory for names");
	module->asked = true;
	wire_write_module(&r->channel.out, request->id,
			  &(struct wire_module){
				  .handle = module->id.instance,
				  .pid = module->id.pid > 0 ? (uint32_t)module->id.pid : 0,
				  .id = module->id.id,
			  });
	return 0;
}

int resolver_ask_lookup(struct resolver *r, struct cache_module *module, struct err *err)
{
	size_t count = module->waiting.len < BATCH ? module->waiting.len : BATCH;
	struct cache_entry **entries = malloc(count * sizeof(*entries));
	struct request *request = entries ? resolver_request(r, WIRE_LOOKUP, module) : NULL;
	uint64_t offsets[BATCH];

	if (!request) {
		free(entries);
		return err_set(err, -ENOMEM, "no memory for names");
	}
	module->waiting.len -= count;
	memcpy(entries, module->waiting.at + module->waiting.len, count * sizeof(*entries));
	for (size_t i = 0; i < count; i++)
		offsets[i] = entries[i]->offset;
	request->entries = entries;
	request->count = (uint32_t)count;
	r->lookups++;
	wire_write_numbers(&r->channel.out, request->id, WIRE_LOOKUP, module->id.instance,
			   offsets, request->count);
	return 0;
}

void resolver_ask_unwind(struct resolver *r, const struct request *request, uint64_t vaddr)
{
	wire_write_range(&r->channel.out, request->id, WIRE_UNWIND,
			 &(struct wire_range){request->module->id.instance, vaddr, UINT64_MAX});
}
