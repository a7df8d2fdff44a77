/*
 * An allocator in C++ whose malloc begins with a call that may throw, and catches what does: where
 * that call runs elsewhere, nobody finds the way back to the handler.
 *
 * catching ROUNDS: every third call wants more than there ever is.
 */
#include <cerrno>

#include "target.h"

struct full {
};

enum { ROOM = 1 << 20, MOST = 1 << 16, HEADER = 16 };

alignas(16) static unsigned char room[ROOM];
static size_t used;

static NOINLINE void *take(size_t size)
{
	if (size > MOST)
		throw full();
	void *block = room + used;
	used = (used + size + HEADER - 1) & ~size_t(HEADER - 1);
	if (used > ROOM)
		_exit(3);
	return block;
}

extern "C" __attribute__((optimize("Os"))) void *malloc(size_t size) noexcept
{
	try {
		return take(size);
	} catch (const full &) {
		return nullptr;
	}
}

extern "C" void free(void *block) noexcept
{
	if (block)
		static_cast<volatile unsigned char *>(block)[0] = 0xdd;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100;

	target_ready();
	for (int i = 0; i < rounds; i++) {
		drop(got(malloc(i + 1), i + 1), i + 1);
		volatile size_t most = MOST + 1;
		if (i % 3 == 0 && malloc(most))
			target_fail("more than there is");
	}
	target_done();
	return target_result(nullptr);
}
