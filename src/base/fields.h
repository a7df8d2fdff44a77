/*
 * Structs as bytes, and back, by one list of their fields: what is written is what is read.
 *
 *     static void point(struct fields *f, struct point *p)
 *     {
 *             FIELD(f, p->x);
 *             FIELD(f, p->y);
 *     }
 *     static void shape(struct fields *f, struct shape *s)
 *     {
 *             FIELD_TEXT(f, s->name);
 *             FIELD_LIST(f, &s->points, point);      // a VEC
 *     }
 *
 * Little-endian, as wide as the C type (1, 2, 4, 8), nothing aligned.  Reading trusts nothing: past
 * the end all is 0, and `bad`.  Whoever reads an enum or an index checks it.
 */
#ifndef MEMTRACE_FIELDS_H
#define MEMTRACE_FIELDS_H

#include <string.h>

#include "base/cursor.h"
#include "base/vec.h"

struct fields {
	VEC(uint8_t) bytes; /* written */
	struct cursor in;   /* to be read */
	bool reads;
	bool bad; /* the bytes are over, or memory is short: all of it is of no use */
};

/* {0} writes; fields_deinit() is due then. */
static inline struct fields fields_over(const void *bytes, size_t len)
{
	return (struct fields){.in = cursor_over(bytes, len), .reads = true};
}
void fields_deinit(struct fields *fields);

void fields_number(struct fields *fields, void *value, unsigned size);
void fields_flag(struct fields *fields, bool *value);
/* An array of char: cut where it is written, refused where it is too long for us. */
void fields_text(struct fields *fields, char *text, size_t room);
/* A text of any length.  Read, it is in the bytes; NULL is "". */
void fields_string(struct fields *fields, const char **text);
/* Any bytes: read, they are a copy, the caller's. */
void fields_bytes(struct fields *fields, void **bytes, size_t *len);
/* Read or written to its end, and nothing was wrong. */
bool fields_end(struct fields *fields);

#define FIELD(f, lvalue) fields_number((f), &(lvalue), sizeof(lvalue))
#define FIELD_TEXT(f, array) fields_text((f), (array), sizeof(array))
#define FIELD_LIST(f, v, each)                                                       \
	do {                                                                         \
		uint32_t count_ = (uint32_t)(v)->len;                                \
		FIELD((f), count_);                                                  \
		for (uint32_t i_ = 0; i_ < count_ && !(f)->bad; i_++) {              \
			if ((f)->reads && !vec_reserve((v), (v)->len + 1)) {         \
				(f)->bad = true;                                     \
				break;                                               \
			}                                                            \
			if ((f)->reads)                                              \
				memset(&(v)->at[(v)->len++], 0, sizeof(*(v)->at));   \
			each((f), &(v)->at[i_]);                                     \
		}                                                                    \
	} while (0)

#endif
