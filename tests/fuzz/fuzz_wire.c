/*
 * The wire, read as either side: the first byte says whose messages they are, the
 * rest is what was received.
 *
 * What is held: what is understood lies within the message, and written again by this
 * side it reads as the same values.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "symbols/wire.h"

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* The first message of what was written. */
static void reread(const struct wire_out *out, enum wire_side sender, struct wire_message *ret)
{
	struct err err = {0};

	assert(!out->bad);
	assert(wire_read(out->bytes.at, out->bytes.len, sender, ret, &err) > 0);
}

static void check_hello(const struct wire_message *message, struct wire_out *out)
{
	struct wire_hello a, b;
	struct wire_message again;
	struct err err;

	if (wire_read_hello(message, &a, &err))
		return;
	wire_write_hello(out, message->request, &a);
	reread(out, WIRE_CLIENT, &again);
	assert(!wire_read_hello(&again, &b, &err) && again.request == message->request);
	assert(a.oldest == b.oldest && a.newest == b.newest && same_text(a.program, b.program));
}

static void check_welcome(const struct wire_message *message, struct wire_out *out)
{
	struct wire_welcome a, b;
	struct wire_message again;
	struct err err;

	if (wire_read_welcome(message, &a, &err))
		return;
	wire_write_welcome(out, message->request, &a);
	reread(out, WIRE_SERVER, &again);
	assert(!wire_read_welcome(&again, &b, &err));
	assert(a.version == b.version && same_text(a.program, b.program) &&
	       a.dir_count == b.dir_count);
	for (size_t i = 0; i < a.dir_count; i++)
		assert(same_text(a.dirs[i], b.dirs[i]));
}

static void check_module(const struct wire_message *message, struct wire_out *out)
{
	struct wire_module a, b;
	struct wire_message again;
	struct err err;

	if (wire_read_module(message, &a, &err))
		return;
	fuzz_touch(a.id.fingerprint, a.id.fingerprint_len);
	wire_write_module(out, message->request, &a);
	reread(out, WIRE_CLIENT, &again);
	assert(!wire_read_module(&again, &b, &err));
	assert(a.handle == b.handle && a.pid == b.pid && a.machine == b.machine &&
	       same_text(a.id.path, b.id.path) && a.id.build_id_len == b.id.build_id_len);
	assert(!memcmp(a.id.build_id, b.id.build_id, a.id.build_id_len));
	assert(a.id.fingerprint_len == b.id.fingerprint_len &&
	       !memcmp(a.id.fingerprint, b.id.fingerprint, a.id.fingerprint_len));
	assert(same_text(a.id.debuglink, b.id.debuglink) &&
	       a.id.debuglink_crc == b.id.debuglink_crc);
}

static void check_module_info(const struct wire_message *message, struct wire_out *out)
{
	struct wire_module_info a, b;
	struct wire_message again;
	struct err err;

	if (wire_read_module_info(message, &a, &err))
		return;
	wire_write_module_info(out, message->request, &a);
	reread(out, WIRE_SERVER, &again);
	assert(!wire_read_module_info(&again, &b, &err));
	assert(a.handle == b.handle && a.names == b.names && same_text(a.source, b.source) &&
	       same_text(a.remark, b.remark));
}

static void check_numbers(const struct wire_message *message, struct wire_out *out)
{
	struct wire_numbers a, b;
	struct wire_message again;
	uint64_t *values;
	struct err err;

	if (wire_read_numbers(message, &a, &err))
		return;
	values = calloc(a.count + 1u, sizeof(*values));
	assert(values && a.count <= WIRE_MAX_OFFSETS);
	for (uint32_t i = 0; i < a.count; i++)
		values[i] = wire_number(&a, i);
	wire_write_numbers(out, message->request, message->type, a.handle, values, a.count);
	reread(out, WIRE_CLIENT, &again);
	assert(!wire_read_numbers(&again, &b, &err));
	assert(a.handle == b.handle && a.count == b.count);
	for (uint32_t i = 0; i < a.count; i++)
		assert(wire_number(&b, i) == values[i]);
	free(values);
}

static void check_range(const struct wire_message *message, struct wire_out *out)
{
	struct wire_range a, b;
	struct wire_message again;
	struct err err;

	if (wire_read_range(message, &a, &err))
		return;
	wire_write_range(out, message->request, message->type, &a);
	reread(out, WIRE_CLIENT, &again);
	assert(!wire_read_range(&again, &b, &err));
	assert(a.handle == b.handle && a.begin == b.begin && a.end == b.end);
}

static void check_look(const struct wire_message *message, struct wire_out *out)
{
	struct wire_message again;
	struct err err;
	uint64_t a, b;

	if (wire_read_look(message, &a, &err))
		return;
	wire_write_look(out, message->request, a);
	reread(out, WIRE_CLIENT, &again);
	assert(!wire_read_look(&again, &b, &err) && a == b);
}

static void check_fetch(const struct wire_message *message, struct wire_out *out)
{
	struct wire_fetch a, b;
	struct wire_message again;
	struct err err;

	if (wire_read_fetch(message, &a, &err))
		return;
	wire_write_fetch(out, message->request, &a);
	reread(out, WIRE_SERVER, &again);
	assert(!wire_read_fetch(&again, &b, &err));
	assert(a.what == b.what && a.of == b.of && a.at == b.at && a.size == b.size);
}

static void check_bytes(const struct wire_message *message, struct wire_out *out,
			enum wire_side sender)
{
	size_t len = cursor_left(&message->payload);
	struct wire_message again;

	wire_write_bytes(out, message->request, message->type, message->flags & WIRE_MORE,
			 message->payload.at, len);
	reread(out, sender, &again);
	assert(cursor_left(&again.payload) == len &&
	       !memcmp(again.payload.at, message->payload.at, len));
}

static void check_symbols(const struct wire_message *message, struct wire_out *out)
{
	struct wire_names_list a, b;
	struct wire_message again;
	const char **names;
	uint32_t written;
	struct err err;

	if (wire_read_symbols(message, &a, &err))
		return;
	names = calloc(a.count + 1u, sizeof(*names));
	assert(names && a.count <= WIRE_MAX_NAMES);
	for (uint32_t i = 0; i < a.count; i++) {
		names[i] = wire_next_text(&a.texts);
		assert(names[i]);
	}
	written = wire_write_symbols(out, message->request, a.handle, names, a.count);
	assert(written <= a.count && (written || !a.count));
	reread(out, WIRE_CLIENT, &again);
	assert(!wire_read_symbols(&again, &b, &err) && b.count == written);
	for (uint32_t i = 0; i < written; i++)
		assert(same_text(names[i], wire_next_text(&b.texts)));
	free(names);
}

static void check_frames(const struct wire_message *message, struct wire_out *out)
{
	struct wire_frame a[WIRE_MAX_INLINED], b[WIRE_MAX_INLINED];
	struct wire_answer answer;
	struct wire_frames in, back;
	struct wire_message again;
	size_t n, m, read = 0;
	struct err err;

	if (wire_frames_open(message, &in, &err))
		return;
	wire_answer_begin(&answer, out, message->request, WIRE_FRAMES, in.part.handle);
	for (; read < in.part.count && !wire_frames_next(&in, a, &n, &err); read++)
		wire_answer_frames(&answer, a, n);
	wire_answer_end(&answer);
	reread(out, WIRE_SERVER, &again);
	if (read == in.part.count && !(again.flags & WIRE_MORE)) {
		wire_frames_close(&in);
		assert(!wire_frames_open(message, &in, &err));
		assert(!wire_frames_open(&again, &back, &err) && back.part.count == read);
		for (size_t i = 0; i < read; i++) {
			assert(!wire_frames_next(&in, a, &n, &err));
			assert(!wire_frames_next(&back, b, &m, &err) && n == m);
			for (size_t k = 0; k < n; k++)
				assert(same_text(a[k].function, b[k].function) &&
				       same_text(a[k].file, b[k].file) &&
				       a[k].line == b[k].line && a[k].inlined == b[k].inlined);
		}
		wire_frames_close(&back);
	}
	wire_frames_close(&in);
}

/* Whether all rows say a CFA that there is: another one is read as none. */
static bool is_known(uint16_t type, const uint8_t *records, uint32_t count)
{
	size_t row = 12, size = type == WIRE_UNWIND_TABLE ? 8 + row : row;

	for (uint32_t i = 0; type != WIRE_VALUES && i < count; i++)
		if (records[i * size + (size - row) + 8] > ROW_CFA_ROOT)
			return false;
	return true;
}

static void check_records(const struct wire_message *message, struct wire_out *out)
{
	struct wire_part a;
	struct wire_answer answer;
	struct wire_message again;
	struct err err;

	if (wire_read_part(message, &a, &err))
		return;
	wire_answer_begin(&answer, out, message->request, message->type, a.handle);
	if (message->type == WIRE_RULE_TABLE) {
		wire_answer_bytes(&answer, wire_part_bytes(&a), a.count);
		cursor_bytes(&a.records, a.count);
	}
	for (uint32_t i = 0; i < a.count && message->type != WIRE_RULE_TABLE; i++) {
		struct row row;
		uint64_t size;

		if (message->type == WIRE_VALUES) {
			uint64_t value = wire_next_value(&a, &size);
			wire_answer_value(&answer, value, size);
		} else if (message->type == WIRE_UNWIND_TABLE) {
			uint64_t vaddr;

			wire_next_unwind(&a, &vaddr, &row);
			wire_answer_unwind(&answer, vaddr, &row);
		}
	}
	assert(!a.records.bad && cursor_left(&a.records) == 0);
	wire_answer_end(&answer);
	reread(out, WIRE_SERVER, &again);
	if (!(again.flags & WIRE_MORE)) {
		struct wire_part b;

		assert(!wire_read_part(&again, &b, &err) && b.count == a.count);
		assert(cursor_left(&b.records) ==
		       (size_t)(message->payload.end - message->payload.at) - 12);
		if (is_known(message->type, message->payload.at + 12, a.count))
			assert(!memcmp(b.records.at, message->payload.at + 12,
				       cursor_left(&b.records)));
	}
}

static void check_progress(const struct wire_message *message, struct wire_out *out)
{
	struct wire_progress a, b;
	struct wire_message again;
	struct err err;

	if (wire_read_progress(message, &a, &err))
		return;
	wire_write_progress(out, message->request, &a);
	reread(out, WIRE_SERVER, &again);
	assert(!wire_read_progress(&again, &b, &err));
	assert(a.done == b.done && a.total == b.total && same_text(a.what, b.what));
}

static void check_error(const struct wire_message *message, struct wire_out *out,
			enum wire_side sender)
{
	struct wire_error a, b;
	struct wire_message again;
	struct err err;

	if (wire_read_error(message, &a, &err))
		return;
	wire_write_error(out, message->request, (enum wire_code)a.code, a.text);
	reread(out, sender, &again);
	assert(!wire_read_error(&again, &b, &err));
	assert(a.code == b.code && same_text(a.text, b.text));
}

static void check_message(const struct wire_message *message, enum wire_side sender)
{
	struct wire_out out = {0};

	switch ((enum wire_type)message->type) {
	case WIRE_HELLO:
		check_hello(message, &out);
		break;
	case WIRE_WELCOME:
		check_welcome(message, &out);
		break;
	case WIRE_MODULE:
		check_module(message, &out);
		break;
	case WIRE_MODULE_INFO:
		check_module_info(message, &out);
		break;
	case WIRE_LOOKUP:
		check_numbers(message, &out);
		break;
	case WIRE_FRAMES:
		check_frames(message, &out);
		break;
	case WIRE_UNWIND:
	case WIRE_RULES:
		check_range(message, &out);
		break;
	case WIRE_SYMBOLS:
		check_symbols(message, &out);
		break;
	case WIRE_VALUES:
	case WIRE_UNWIND_TABLE:
	case WIRE_RULE_TABLE:
		check_records(message, &out);
		break;
	case WIRE_LOOK:
		check_look(message, &out);
		break;
	case WIRE_FETCH:
		check_fetch(message, &out);
		break;
	case WIRE_FETCHED:
	case WIRE_FOUND:
		check_bytes(message, &out, sender);
		break;
	case WIRE_PROGRESS:
		check_progress(message, &out);
		break;
	case WIRE_ERROR:
		check_error(message, &out, sender);
		break;
	}
	wire_out_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum wire_side sender;
	struct wire_message message;
	struct err err = {0};
	int64_t taken;

	if (!size)
		return 0;
	sender = data[0] & 1 ? WIRE_CLIENT : WIRE_SERVER;
	data++;
	size--;
	while ((taken = wire_read(data, size, sender, &message, &err)) > 0) {
		assert((uint64_t)taken <= size && wire_type_name(message.type));
		check_message(&message, sender);
		data += taken;
		size -= (size_t)taken;
	}
	assert(taken == 0 || (err.code == taken && err.text[0]));
	return 0;
}
