/*
 * The wire between memtrace and memtrace-fs; doc/protocol.md draws it.
 *
 *   byte 0        4      6       8          12
 *       +--------+------+-------+----------+------------------------+
 *       | length | type | flags | request  | payload, length bytes  |
 *       +--------+------+-------+----------+------------------------+
 *
 * All integers little-endian.  A text is its length (u16, without the NUL; 0xffff:
 * absent), the bytes, a NUL; so a decoded text points into the message and lives as
 * long.  Neither side trusts the other: every length, count and reference is checked
 * against the limits below before it is used, and a message that breaks one is an
 * error that names it.  Encoding and decoding of both sides live here, and nothing in
 * here knows what carries the bytes.
 */
#ifndef MEMTRACE_WIRE_H
#define MEMTRACE_WIRE_H

#include "base/cursor.h"
#include "base/err.h"
#include "base/types.h"
#include "base/vec.h"
#include "elf/module_id.h"
#include "region/row.h"

enum {
	WIRE_VERSION = 1,
	WIRE_HEADER = 12,
	WIRE_MAX_PAYLOAD = 1 << 20,
	WIRE_MAX_TEXT = 4095, /* bytes of one text; longer ones are cut, with "..." */
	WIRE_MAX_DIRS = 64,   /* directories a WELCOME names */
	WIRE_MAX_BUILD_ID = MODULE_ID_BUILD_ID,
	WIRE_MAX_FINGERPRINT = 4096,
	WIRE_MAX_OFFSETS = 4096,    /* per LOOKUP or ROWS */
	WIRE_MAX_UNWIND = 1 << 16,  /* rows per UNWIND: what is beyond is asked for again */
	WIRE_MAX_RULES = 4 << 20,   /* bytes per RULES: what is beyond is not told */
	WIRE_MAX_INLINED = 64,	    /* frames of one address */
	WIRE_MAX_NAMES = 1024,	    /* per SYMBOLS */
	WIRE_MAX_MODULES = 1 << 14, /* handles of one connection */
	WIRE_MAX_FETCH = 256 << 10, /* bytes that one FETCHED brings */
	WIRE_MAX_FOUND = 64 << 20,  /* bytes of FOUND, all messages together */
	WIRE_SOFT_PAYLOAD = 60000,  /* where an answer is split into a further message */
};

/* Eight bytes that open HELLO and WELCOME. */
#define WIRE_MAGIC "memtrace"

enum wire_type { /* stable numbers */
		 WIRE_HELLO = 1,
		 WIRE_WELCOME = 2,
		 WIRE_MODULE = 3,
		 WIRE_MODULE_INFO = 4,
		 WIRE_LOOKUP = 5,
		 WIRE_FRAMES = 6,
		 WIRE_SYMBOLS = 7,
		 WIRE_VALUES = 8,
		 /* (9 and 10 were ROWS and ROW_TABLE) */
		 WIRE_PROGRESS = 11,
		 WIRE_ERROR = 12,
		 WIRE_UNWIND = 13,
		 WIRE_UNWIND_TABLE = 14,
		 WIRE_RULES = 15,
		 WIRE_RULE_TABLE = 16,
		 WIRE_LOOK = 17,
		 WIRE_FETCH = 18,
		 WIRE_FETCHED = 19,
		 WIRE_FOUND = 20,
};

enum {			   /* header flags */
       WIRE_MORE = 1 << 0, /* the answer goes on in a further message of the same request */
};

enum wire_side { WIRE_CLIENT = 1, WIRE_SERVER = 2 }; /* memtrace; memtrace-fs */

/* Why a request was not answered.  Stable numbers. */
enum wire_code {
	WIRE_CODE_PROTOCOL = 1, /* the peer broke the protocol; the connection is closed */
	WIRE_CODE_VERSION = 2,	/* no common version; the connection is closed */
	WIRE_CODE_MODULE = 3,	/* a handle that no MODULE has introduced */
	WIRE_CODE_FILE = 4,	/* the file is broken; text says how */
	WIRE_CODE_MEMORY = 5,
	WIRE_CODE_UNSUPPORTED = 6, /* understood, but not served here */
	WIRE_CODE_AGAIN = 7, /* LOOK: another picture will do */
};

/* What is known of a module's names.  Stable numbers. */
enum wire_names {
	WIRE_NAMES_NONE = 0,
	WIRE_NAMES_SYMBOLS = 1, /* functions only */
	WIRE_NAMES_LINES = 2,	/* DWARF: inlined frames, file and line */
};

/* ---- messages as values ------------------------------------------------------- */

struct wire_hello {
	uint16_t oldest, newest; /* protocol versions the client speaks */
	const char *program;	 /* "memtrace 0.1.0" */
};

struct wire_welcome {
	uint16_t version;    /* the one to use from here on */
	const char *program; /* "memtrace-fs 0.1.0" */
	uint16_t dir_count;
	const char *dirs[WIRE_MAX_DIRS];
};

struct wire_module {
	uint32_t handle;  /* the client's number, < WIRE_MAX_MODULES; using it again replaces it
			   */
	uint32_t pid;	  /* of a process on the server's machine that maps it, or 0 */
	uint16_t machine; /* ELF e_machine, or 0: unknown */
	struct module_id id;
};

struct wire_module_info {
	uint32_t handle;
	uint8_t names;	    /* enum wire_names */
	const char *source; /* where the names come from: a path, in words; absent: nowhere */
	const char *remark; /* what was found and not used, and why; absent: nothing */
};

struct wire_range { /* UNWIND, RULES: of which code, by virtual address */
	uint32_t handle;
	uint64_t begin, end;
};

struct wire_numbers { /* LOOKUP, ROWS */
	uint32_t handle;
	uint32_t count;
	const uint8_t *values; /* count little-endian u64: wire_number() */
};

struct wire_names_list { /* SYMBOLS */
	uint32_t handle;
	uint32_t count;
	struct cursor texts; /* count texts, checked: wire_next_text() */
};

struct wire_part { /* the head of FRAMES, VALUES, UNWIND_TABLE, RULE_TABLE */
	uint32_t handle;
	uint32_t first; /* index, in the request, of the first one answered here */
	uint32_t count;
	struct cursor records;
};

struct wire_progress {
	uint64_t done, total; /* total 0: unknown */
	const char *what;
};

struct wire_error {
	uint32_t code; /* enum wire_code */
	const char *text;
};

/* What a server that looks for leaks (LOOK) wants of the process.  Stable numbers. */
enum wire_wanted {
	WIRE_WANTED_DESCRIPTION = 1, /* `size` bytes of it, from `at` on */
	WIRE_WANTED_MEMORY = 2,	     /* `size` bytes of memory at address `at`, or none */
	WIRE_WANTED_FILE = 3, /* the same of the file of a module: `of` is its instance */
	WIRE_WANTED_PRESENT = 4, /* the first piece of [at, at + size) that is not zeros: begin
				    u64, end u64; none: there is no such */
	WIRE_WANTED_FRAME = 5,	/* whose frame address `at` of thread `of` lies in: instance u32,
				   virtual address u64; none: not known */
	WIRE_WANTED_LIVE = 6, /* `size` blocks that were traced, from number `at` on: address u64,
				 size u64, context u32 */
	WIRE_WANTED_CONFIRMED = 7, /* `size` addresses, u64, of what was lost before */
};

struct wire_fetch {
	uint16_t what; /* enum wire_wanted */
	uint32_t of;
	uint64_t at, size;
};

struct wire_frame {
	const char *function; /* NULL: unknown */
	const char *file;     /* NULL: unknown */
	uint32_t line;	      /* 0: unknown */
	bool inlined;	      /* into the next one of the same address */
};

/* ---- reading -------------------------------------------------------------------- */

struct wire_message {
	uint16_t type; /* a known one, of the side that was expected to send */
	uint16_t flags;
	uint32_t request;
	struct cursor payload;
};

const char *wire_type_name(uint16_t type); /* "LOOKUP"; NULL: unknown */

/*
 * Finds the message at the beginning of len received bytes.  `sender` is the side
 * that wrote them.  Returns the bytes it takes (ret points into them), 0 when more
 * must be received first, or -EPROTO with the reason (unknown type, too long, not for
 * this side): the connection is of no use then.
 */
int64_t wire_read(const uint8_t *bytes, size_t len, enum wire_side sender,
		  struct wire_message *ret, struct err *err);

/* Each decodes a message of its type.  0, or -EPROTO with the reason.  What ret points
 * to lies in the message's bytes. */
int wire_read_hello(const struct wire_message *message, struct wire_hello *ret,
		    struct err *err) MUST_CHECK;
int wire_read_welcome(const struct wire_message *message, struct wire_welcome *ret,
		      struct err *err) MUST_CHECK;
int wire_read_module(const struct wire_message *message, struct wire_module *ret,
		     struct err *err) MUST_CHECK;
int wire_read_module_info(const struct wire_message *message, struct wire_module_info *ret,
			  struct err *err) MUST_CHECK;
int wire_read_range(const struct wire_message *message, struct wire_range *ret,
		    struct err *err) MUST_CHECK;
int wire_read_numbers(const struct wire_message *message, struct wire_numbers *ret,
		      struct err *err) MUST_CHECK;
int wire_read_symbols(const struct wire_message *message, struct wire_names_list *ret,
		      struct err *err) MUST_CHECK;
int wire_read_part(const struct wire_message *message, struct wire_part *ret, struct err *err) MUST_CHECK;
int wire_read_progress(const struct wire_message *message, struct wire_progress *ret,
		       struct err *err) MUST_CHECK;
int wire_read_error(const struct wire_message *message, struct wire_error *ret,
		    struct err *err) MUST_CHECK;

/* LOOK: how many bytes the description has. */
int wire_read_look(const struct wire_message *message, uint64_t *ret, struct err *err) MUST_CHECK;
int wire_read_fetch(const struct wire_message *message, struct wire_fetch *ret,
		    struct err *err) MUST_CHECK;

static inline uint64_t wire_number(const struct wire_numbers *numbers, uint32_t index)
{
	struct cursor c = cursor_over(numbers->values + 8 * (size_t)index, 8);
	return cursor_u64(&c);
}

/* The next text of a checked list; never NULL for index < count. */
const char *wire_next_text(struct cursor *texts);

/*
 * The records of a FRAMES message, one address after the other.  Its texts are defined
 * where they are used first, and referred to by number afterwards; `texts` is that list,
 * by number - 1, for callers who keep their own copy of each: wire_frames_next() appends
 * to it.
 */
struct wire_frames {
	struct wire_part part;
	uint32_t left; /* addresses not yet read */
	VEC(const char *) texts;
};

int wire_frames_open(const struct wire_message *message, struct wire_frames *ret,
		     struct err *err) MUST_CHECK;
/* Fills at most WIRE_MAX_INLINED frames; *count may be 0.  To be called part.count times. */
int wire_frames_next(struct wire_frames *frames, struct wire_frame ret[WIRE_MAX_INLINED],
		     size_t *count, struct err *err) MUST_CHECK;
void wire_frames_close(struct wire_frames *frames);

/* The records of VALUES and UNWIND_TABLE; to be called part.count times.  Lengths
 * were checked by wire_read_part(). */
uint64_t wire_next_value(struct wire_part *part, uint64_t *size);
void wire_next_unwind(struct wire_part *part, uint64_t *vaddr, struct row *ret);
/* All records of a RULE_TABLE: part.count bytes. */
const uint8_t *wire_part_bytes(const struct wire_part *part);

/* ---- writing -------------------------------------------------------------------- */

/*
 * Messages one after the other, ready to be sent.  A writer that runs out of memory or
 * is given what breaks a limit remembers it in `bad`; what it holds is then useless.
 */
struct wire_out {
	VEC(uint8_t) bytes;
	size_t begin; /* of the message being written */
	bool bad;
};

void wire_out_deinit(struct wire_out *out);

void wire_write_hello(struct wire_out *out, uint32_t request, const struct wire_hello *hello);
void wire_write_welcome(struct wire_out *out, uint32_t request,
			const struct wire_welcome *welcome);
void wire_write_module(struct wire_out *out, uint32_t request,
		       const struct wire_module *module);
void wire_write_module_info(struct wire_out *out, uint32_t request,
			    const struct wire_module_info *info);
/* type: WIRE_LOOKUP; count <= WIRE_MAX_OFFSETS. */
void wire_write_numbers(struct wire_out *out, uint32_t request, enum wire_type type,
			uint32_t handle, const uint64_t *values, uint32_t count);
/* type: WIRE_UNWIND or WIRE_RULES. */
void wire_write_range(struct wire_out *out, uint32_t request, enum wire_type type,
		      const struct wire_range *range);
/* Writes the first names that fit one message; returns how many (0 only for none). */
uint32_t wire_write_symbols(struct wire_out *out, uint32_t request, uint32_t handle,
			    const char *const *names, size_t count);
void wire_write_progress(struct wire_out *out, uint32_t request,
			 const struct wire_progress *progress);
void wire_write_error(struct wire_out *out, uint32_t request, enum wire_code code,
		      const char *text);

void wire_write_look(struct wire_out *out, uint32_t request, uint64_t length);
void wire_write_fetch(struct wire_out *out, uint32_t request, const struct wire_fetch *fetch);
/* FETCHED or FOUND: nothing but bytes. */
void wire_write_bytes(struct wire_out *out, uint32_t request, enum wire_type type, bool more,
		      const uint8_t *bytes, size_t len);

/*
 * An answer of many records, split over as many messages as it takes:
 *
 *     wire_answer_begin(&answer, out, request, WIRE_FRAMES, handle);
 *     for each address of the request, in order: wire_answer_frames(&answer, frames, count);
 *     wire_answer_end(&answer);
 */
struct wire_answer {
	struct wire_out *out;
	uint32_t request, handle;
	enum wire_type type;
	uint32_t first, count; /* of the message being written */
	/* FRAMES: where the texts that this message has defined lie in out->bytes; text
	 * number n is defined.at[n - 1].  slots: numbers by hash of the text, 0 = free. */
	VEC(size_t) defined;
	VEC(uint32_t) slots;
};

void wire_answer_begin(struct wire_answer *answer, struct wire_out *out, uint32_t request,
		       enum wire_type type, uint32_t handle);
/* frames[count]: innermost first; what is beyond WIRE_MAX_INLINED is left out from the
 * outer side but for the last (the real function). */
void wire_answer_frames(struct wire_answer *answer, const struct wire_frame *frames,
			size_t count);
void wire_answer_value(struct wire_answer *answer, uint64_t value, uint64_t size);
/* The row that holds from vaddr on; at most WIRE_MAX_UNWIND, ascending. */
void wire_answer_unwind(struct wire_answer *answer, uint64_t vaddr, const struct row *row);
/* Of RULE_TABLE: at most WIRE_MAX_RULES bytes in all. */
void wire_answer_bytes(struct wire_answer *answer, const uint8_t *bytes, size_t len);
void wire_answer_end(struct wire_answer *answer);

#endif
