/* What one customer has: a question, and the modules that it has introduced. */
#include <stdlib.h>

#include "serve/workers_parts.h"

struct introduced *customer_module(struct customer *c)
{
	struct introduced *module =
		c->handle < c->modules.len ? &c->modules.at[c->handle] : NULL;

	return !c->http && module && module->message ? module : NULL;
}

/* The message of what is kept, or of the question. */
bool customer_message(const uint8_t *bytes, size_t len, struct wire_message *ret)
{
	return wire_read(bytes, len, WIRE_CLIENT, ret, NULL) > 0;
}

void customer_done(struct customer *c)
{
	c->state = WORK_DONE;
}

void customer_drop(struct customer *c, struct introduced *module)
{
	c->bytes -= module->len;
	free(module->message);
	*module = (struct introduced){};
}
