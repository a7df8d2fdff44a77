/*
 * Who a module is: what its file is recognised by, on this machine and on another one that
 * has the file before it was stripped.  The one struct for it, from the mapping in the target
 * to the wire, the snapshot file and the search for debug files.
 *
 *   build-id     of its GNU note; where it has one, nothing else is needed
 *   fingerprint  fingerprint.h: where there is no build-id
 *   debuglink    .gnu_debuglink, where there is no build-id: a debug file's name and CRC
 */
#ifndef MEMTRACE_MODULE_ID_H
#define MEMTRACE_MODULE_ID_H

#include "base/types.h"

/* (64: the longest build-id that linkers make is of 20 bytes; --build-id=0x.. makes any) */
enum { MODULE_ID_BUILD_ID = 64, MODULE_ID_FINGERPRINT = 40, MODULE_ID_DEBUGLINK = 64 };

struct module_id {
	const char
		*path; /* as the target sees it; whose memory it is says who has the struct */
	uint8_t build_id[MODULE_ID_BUILD_ID];
	uint8_t build_id_len; /* 0: none */
	uint8_t fingerprint[MODULE_ID_FINGERPRINT];
	uint8_t fingerprint_len;	     /* 0: not needed, or can't be had */
	char debuglink[MODULE_ID_DEBUGLINK]; /* ""; or a file name without "/" */
	uint32_t debuglink_crc;		     /* of that file; 0 without one */
};

/* A copy with a path of its own, which module_id_deinit() frees.  False: no memory, and then
 * *to is empty. */
bool module_id_copy(struct module_id *to, const struct module_id *from);
void module_id_deinit(struct module_id *id);

/* Each takes what somebody else wrote; false, and nothing is noted, where it is too long to be
 * one. */
bool module_id_set_build_id(struct module_id *id, const uint8_t *bytes, size_t len);
bool module_id_set_fingerprint(struct module_id *id, const uint8_t *bytes, size_t len);
bool module_id_set_debuglink(struct module_id *id, const char *name, uint32_t crc);

/* The same build-id, or neither has one. */
bool module_id_same_build(const struct module_id *a, const struct module_id *b);
bool module_id_same_fingerprint(const struct module_id *a, const struct module_id *b);
bool module_id_same_debuglink(const struct module_id *a, const struct module_id *b);

/* The hex digits of a build-id or a fingerprint; "" without one. */
enum { MODULE_ID_HEX = 2 * MODULE_ID_BUILD_ID + 1 };
const char *module_id_hex(const uint8_t *bytes, size_t len, char buf[MODULE_ID_HEX]);

/* The last part of its path: "libfoo.so". */
const char *module_id_name(const struct module_id *id);

#endif
