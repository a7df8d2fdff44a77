/*
 * What anybody on the network may send to UDP port 3002, and what a person types as a host.
 *
 * What is held: what was understood is written again as the same bytes.
 */
#include <string.h>

#include "fuzz.h"
#include "symbols/discovery.h"

static void check_text(const uint8_t *data, size_t size)
{
	struct endpoint endpoint;
	struct err err;
	char text[512];

	if (size >= sizeof(text))
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	if (endpoint_parse(text, "--connect", &endpoint, &err))
		return;
	assert(strlen(endpoint.host) < sizeof(endpoint.host) && *endpoint.port);
	assert(strlen(endpoint.host) + strlen(endpoint.port) <= strlen(text) + 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct discovery_query query;
	struct discovery_answer answer;
	uint8_t bytes[DISCOVERY_BYTES];

	if (discovery_read_query(data, size, &query)) {
		discovery_write_query(&query, bytes);
		assert(!memcmp(bytes, data, 8) && !memcmp(bytes + 10, data + 10, 16));
	}
	if (discovery_read_answer(data, size, &answer)) {
		discovery_write_answer(&answer, bytes);
		assert(!memcmp(bytes, data, 8) && !memcmp(bytes + 10, data + 10, 26));
	}
	check_text(data, size);
	return 0;
}
