/* Identities: small values that are copied whole; only the path lies outside. */
#include "elf/module_id.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "elf/fingerprint.h"

_Static_assert((int)MODULE_ID_FINGERPRINT == (int)FINGERPRINT_BYTES, "a fingerprint fits");

bool module_id_copy(struct module_id *to, const struct module_id *from)
{
	const char *path = from->path ? strdup(from->path) : NULL;

	*to = (struct module_id){0};
	if (from->path && !path)
		return false;
	*to = *from;
	to->path = path;
	return true;
}

void module_id_deinit(struct module_id *id)
{
	free((char *)id->path);
	*id = (struct module_id){0};
}

bool module_id_set_build_id(struct module_id *id, const uint8_t *bytes, size_t len)
{
	if (len > sizeof(id->build_id))
		return false;
	if (len)
		memcpy(id->build_id, bytes, len);
	id->build_id_len = (uint8_t)len;
	return true;
}

bool module_id_set_fingerprint(struct module_id *id, const uint8_t *bytes, size_t len)
{
	if (len > sizeof(id->fingerprint))
		return false;
	if (len)
		memcpy(id->fingerprint, bytes, len);
	id->fingerprint_len = (uint8_t)len;
	return true;
}

bool module_id_set_debuglink(struct module_id *id, const char *name, uint32_t crc)
{
	size_t len = name ? strlen(name) : 0;

	if (!len || len >= sizeof(id->debuglink))
		return false;
	memcpy(id->debuglink, name, len + 1);
	id->debuglink_crc = crc;
	return true;
}

static bool same_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	return a_len == b_len && !memcmp(a, b, a_len);
}

bool module_id_same_build(const struct module_id *a, const struct module_id *b)
{
	return same_bytes(a->build_id, a->build_id_len, b->build_id, b->build_id_len);
}

bool module_id_same_fingerprint(const struct module_id *a, const struct module_id *b)
{
	return same_bytes(a->fingerprint, a->fingerprint_len, b->fingerprint,
			  b->fingerprint_len);
}

bool module_id_same_debuglink(const struct module_id *a, const struct module_id *b)
{
	return a->debuglink_crc == b->debuglink_crc && !strcmp(a->debuglink, b->debuglink);
}

const char *module_id_hex(const uint8_t *bytes, size_t len, char buf[MODULE_ID_HEX])
{
	text_hex(buf, bytes, len < MODULE_ID_BUILD_ID ? len : MODULE_ID_BUILD_ID);
	return buf;
}

const char *module_id_name(const struct module_id *id)
{
	return id->path ? text_base_name(id->path) : "";
}
