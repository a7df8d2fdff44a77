/*
 * Operator new and delete in all their forms, and exceptions that pass through
 * frames which hold memory.  Sizes are such that what libstdc++ asks malloc for
 * is what the program asked for (no zero sizes, aligned sizes are multiples).
 *
 * operators ROUNDS [other]: with `other`, operator new is not libstdc++'s.
 */
#include <new>
#include <stdexcept>

#include "target.h"

/* What __cxa_allocate_exception adds to a thrown object (gcc's ABI, 64 bit). */
static const size_t EXCEPTION_HEADER = 128;

/* The allocator has operators of its own: the nothrow forms don't throw inside. */
static bool other_allocator;

/* A failed operator new throws; libstdc++'s nothrow forms do too, inside. */
static void count_bad_alloc()
{
	ADD(tally_allocs, 1);
	ADD(tally_bytes, sizeof(std::bad_alloc) + EXCEPTION_HEADER);
	gone(sizeof(std::bad_alloc) + EXCEPTION_HEADER);
}

NOINLINE static void plain()
{
	void *p = got(operator new(24), 24);
	gone(24);
	operator delete(p);
	p = got(operator new(25), 25);
	gone(25);
	operator delete(p, size_t(25));
	p = got(operator new[](26), 26);
	gone(26);
	operator delete[](p);
	p = got(operator new[](27), 27);
	gone(27);
	operator delete[](p, size_t(27));
	operator delete(nullptr);
	operator delete[](nullptr);
}

NOINLINE static void nothrow()
{
	void *p = got(operator new(31, std::nothrow), 31);
	gone(31);
	operator delete(p, std::nothrow);
	p = got(operator new[](32, std::nothrow), 32);
	gone(32);
	operator delete[](p, std::nothrow);
	volatile size_t huge = PTRDIFF_MAX - 4096;
	if (operator new(huge, std::nothrow) || operator new[](huge, std::nothrow))
		target_fail("an impossible nothrow new succeeded");
	if (!other_allocator) {
		count_bad_alloc();
		count_bad_alloc();
	}
}

NOINLINE static void aligned()
{
	const std::align_val_t by{64};
	void *p = got(operator new(128, by), 128);
	gone(128);
	operator delete(p, by);
	p = got(operator new(192, by), 192);
	gone(192);
	operator delete(p, size_t(192), by);
	p = got(operator new[](256, by), 256);
	gone(256);
	operator delete[](p, by);
	p = got(operator new[](320, by), 320);
	gone(320);
	operator delete[](p, size_t(320), by);
	p = got(operator new(384, by, std::nothrow), 384);
	gone(384);
	operator delete(p, by, std::nothrow);
	p = got(operator new[](448, by, std::nothrow), 448);
	gone(448);
	operator delete[](p, by, std::nothrow);
}

struct holder {
	void *block;
	explicit holder(size_t n) : block(got(malloc(n), n)), size(n)
	{
	}
	~holder()
	{
		drop(block, size);
	}
	size_t size;
};

struct thrown {
	int depth;
};

NOINLINE static void dive(int depth)
{
	holder here(depth + 1);
	if (depth == 0) {
		ADD(tally_allocs, 1);
		ADD(tally_bytes, sizeof(thrown) + EXCEPTION_HEADER);
		throw thrown{depth};
	}
	dive(depth - 1);
}

NOINLINE static void exceptions()
{
	for (int depth = 0; depth < 6; depth++) {
		try {
			dive(depth);
			target_fail("nothing was thrown");
		} catch (const thrown &t) {
			if (t.depth != 0)
				target_fail("another exception was caught");
		}
		gone(sizeof(thrown) + EXCEPTION_HEADER);
	}
	volatile size_t huge = PTRDIFF_MAX - 4096;
	try {
		void *volatile p = operator new(huge);
		target_fail("an impossible new returned %p", p);
	} catch (const std::bad_alloc &) {
	}
	count_bad_alloc();
}

/* The first throw's own preparations are over before READY. */
NOINLINE static void first_throw()
{
	try {
		throw 1;
	} catch (int) {
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 3;
	other_allocator = argc > 2;
	first_throw();
	target_ready();
	for (int i = 0; i < rounds; i++) {
		plain();
		nothrow();
		aligned();
		exceptions();
	}
	target_kept[0] = got(operator new[](1234), 1234);
	target_done();
	return target_result(NULL);
}
