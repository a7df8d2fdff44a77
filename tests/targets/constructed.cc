/*
 * Memory allocated before main and freed after it: static objects, functions with
 * the constructor and destructor attributes, a thread's own object.
 * Run by memtrace, what construct_alloc() does is exactly known: 4 blocks of 1001,
 * 1002, 1003 and 1004 bytes, of which the last stays.
 */
#include <thread>

#include "target.h"

NOINLINE static char *construct_alloc(size_t size)
{
	return static_cast<char *>(got(malloc(size), size));
}

struct early {
	char *block;
	size_t size;
	explicit early(size_t n) : block(construct_alloc(n)), size(n)
	{
	}
	~early()
	{
		drop(block, size);
	}
};

static early global(1001);
static thread_local early own(1002);
static char *first;

__attribute__((constructor(101))) static void before_all()
{
	first = construct_alloc(1003);
}

__attribute__((destructor(101))) static void after_all()
{
	drop(first, 1003);
	target_kept[0] = construct_alloc(1004);
	target_result(nullptr);
}

int main()
{
	std::thread([] { *own.block = 2; }).join();
	target_ready();
	target_done();
	return 0;
}
