/*
 * Memory in order, through one buffer: pieces that are as large as can be read at once, and
 * page by page where something of a piece can't.
 */
#include <errno.h>
#include <string.h>

#include "heap/leak/parts.h"

enum { PAGE = 4096 };

static int scan_piece(struct leak *leak, taddr_t at, size_t len, scan_visit *visit, void *arg,
		      uint64_t *unread)
{
	uint8_t *bytes = leak->stream.bytes;

	leak->stream.windows[0].len = 0; /* (its bytes go) */
	if (memory_read(leak->in.memory, at, bytes, len) == 0)
		return visit(leak, arg, at, bytes, len);
	for (size_t done = 0; done < len;) {
		size_t n = PAGE - (size_t)((at + done) % PAGE);
		int code = 0;

		if (n > len - done)
			n = len - done;
		if (memory_read(leak->in.memory, at + done, bytes, n) == 0)
			code = visit(leak, arg, at + done, bytes, n);
		else
			*unread += n;
		if (code)
			return code;
		done += n;
	}
	return 0;
}

static int scan_present(struct leak *leak, taddr_t at, taddr_t end, scan_visit *visit,
			void *arg, uint64_t *unread)
{
	while (at < end) {
		size_t n = leak->stream.size - (size_t)(at % PAGE);
		int code;

		if (n > end - at)
			n = (size_t)(end - at);
		code = scan_piece(leak, at, n, visit, arg, unread);
		if (code)
			return code;
		at += n;
	}
	return 0;
}

int leak_scan(struct leak *leak, taddr_t begin, taddr_t end, scan_visit *visit, void *arg,
	      uint64_t *unread)
{
	taddr_t word = leak->in.cpu.word;

	begin = (begin + word - 1) & ~(word - 1);
	end &= ~(word - 1);
	while (begin < end) {
		struct range range = {begin, end};
		int code;

		/* (asked only where it may spare more than it costs) */
		if (leak->in.present && end - begin >= 16 * PAGE &&
		    !leak->in.present(leak->in.present_arg, begin, end, &range))
			return 0;
		if (range.begin < begin)
			range.begin = begin;
		if (range.end > end || range.end <= range.begin)
			range.end = end;
		code = scan_present(leak, range.begin, range.end, visit, arg, unread);
		if (code)
			return code;
		begin = range.end;
	}
	return 0;
}
