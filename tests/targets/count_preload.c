/*
 * The oracle of counts: preloaded, it stands before libc's allocator and counts what
 * memtrace has to count, independently of it:
 *
 *     LD_PRELOAD=count_preload.so COUNT_FILE=path program...
 *
 * Only the process that made COUNT_FILE is counted (by pid, so a program started by
 * exec starts anew and children write nothing).  The numbers lie in a shared mapping
 * of that file and are right at any moment, at the very end of the process too:
 *
 *     u64 pid, allocs, frees, allocated_bytes, freed_bytes, lost
 *
 * The sizes of live blocks are kept in a table of the oracle's own (the program's are
 * not touched, so that it allocates exactly what it would have).  `lost`: a free of
 * an address it never saw, or no room.
 *
 * Without COUNT_FILE it does nothing but pass on: the same number of libraries is
 * then loaded, which matters because the loader allocates for each.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void *__libc_valloc(size_t size);
extern void *__libc_pvalloc(size_t size);
extern void __libc_free(void *block);
extern char **environ;

enum { SLOTS = 1 << 21 };

struct numbers {
	uint64_t pid, allocs, frees, allocated_bytes, freed_bytes, lost;
};

struct slot { /* addr 0: never used; 1: given back */
	uintptr_t addr;
	size_t size;
};

/* In a page that a fork child finds empty, so that it neither counts nor waits for a
 * thread it does not have; a vfork child, whose memory is the parent's, does count. */
struct own {
	int state; /* 0: not begun, 1: counts, 2: does not */
	int lock;
};

static struct numbers *numbers;
static struct slot *slots;
static _Alignas(4096) union {
	struct own own;
	char page[4096];
} wiped;

static void enter(void)
{
	while (__atomic_exchange_n(&wiped.own.lock, 1, __ATOMIC_ACQUIRE))
		;
}

static void leave(void)
{
	__atomic_store_n(&wiped.own.lock, 0, __ATOMIC_RELEASE);
}

/* getenv() is libc's, and libc may not be ready. */
static const char *count_file(void)
{
	for (char **e = environ; e && *e; e++)
		if (!strncmp(*e, "COUNT_FILE=", 11))
			return *e + 11;
	return NULL;
}

static void begin(void)
{
	wiped.own.state = 2;
	const char *path = count_file();
	if (!path || madvise(&wiped, sizeof(wiped), MADV_WIPEONFORK))
		return;
	int created = 1, fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		created = 0;
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (fd < 0 || (created && ftruncate(fd, sizeof(*numbers))))
		return;
	numbers = mmap(NULL, sizeof(*numbers), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	slots = mmap(NULL, SLOTS * sizeof(*slots), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (numbers == MAP_FAILED || slots == MAP_FAILED)
		return;
	if (!created && numbers->pid != (uint64_t)getpid())
		return; /* a child */
	memset(numbers, 0, sizeof(*numbers));
	numbers->pid = getpid();
	wiped.own.state = 1;
}

/* True: this process is the counted one; the lock is held. */
static int counting(void)
{
	if (wiped.own.state == 2)
		return 0;
	int saved = errno;
	enter();
	if (!wiped.own.state)
		begin();
	int yes = wiped.own.state == 1;
	if (!yes)
		leave();
	errno = saved;
	return yes;
}

static struct slot *slot_find(uintptr_t addr, int to_insert)
{
	size_t at = (addr >> 4) * 0x9e3779b97f4a7c15ull >> 43;
	struct slot *reusable = NULL;
	for (size_t i = 0; i < SLOTS; i++, at = (at + 1) % SLOTS) {
		if (slots[at].addr == addr)
			return &slots[at];
		if (slots[at].addr == 1 && !reusable)
			reusable = &slots[at];
		if (slots[at].addr == 0)
			return !to_insert ? NULL : reusable ? reusable : &slots[at];
	}
	return to_insert ? reusable : NULL;
}

static void counted_alloc(void *block, size_t size)
{
	if (!block || !counting())
		return;
	struct slot *slot = slot_find((uintptr_t)block, 1);
	if (!slot || slot->addr == (uintptr_t)block) {
		numbers->lost++;
	} else {
		*slot = (struct slot){(uintptr_t)block, size};
		numbers->allocs++;
		numbers->allocated_bytes += size;
	}
	leave();
}

/* Takes a block out; *size = what it had.  False: not seen before, or not counting. */
static int take(void *block, size_t *size)
{
	if (!block || !counting())
		return 0;
	struct slot *slot = slot_find((uintptr_t)block, 0);
	if (slot) {
		*size = slot->size;
		slot->addr = 1;
	} else {
		numbers->lost++;
	}
	leave();
	return slot != NULL;
}

static void counted_free(size_t size)
{
	if (!counting())
		return;
	numbers->frees++;
	numbers->freed_bytes += size;
	leave();
}

static void put_back(void *block, size_t size)
{
	if (!counting())
		return;
	struct slot *slot = slot_find((uintptr_t)block, 1);
	if (slot)
		*slot = (struct slot){(uintptr_t)block, size};
	leave();
}

void *malloc(size_t size)
{
	void *block = __libc_malloc(size);
	counted_alloc(block, size);
	return block;
}

void *calloc(size_t count, size_t size)
{
	void *block = __libc_calloc(count, size);
	counted_alloc(block, count * size);
	return block;
}

void *realloc(void *block, size_t size)
{
	size_t old = 0;
	int taken = take(block, &old);
	void *next = __libc_realloc(block, size);
	if (taken && (next || !size)) /* glibc: realloc to zero frees */
		counted_free(old);
	else if (taken)
		put_back(block, old);
	counted_alloc(next, size);
	return next;
}

void *reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(block, bytes);
}

void free(void *block)
{
	size_t size = 0;
	if (take(block, &size))
		counted_free(size);
	__libc_free(block);
}

void *memalign(size_t alignment, size_t size)
{
	void *block = __libc_memalign(alignment, size);
	counted_alloc(block, size);
	return block;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	if (alignment % sizeof(void *) || !alignment || (alignment & (alignment - 1)))
		return EINVAL;
	int saved = errno;
	void *block = memalign(alignment, size);
	errno = saved;
	if (!block)
		return ENOMEM;
	*ret = block;
	return 0;
}

void *valloc(size_t size)
{
	void *block = __libc_valloc(size);
	counted_alloc(block, size);
	return block;
}

void *pvalloc(size_t size)
{
	void *block = __libc_pvalloc(size);
	counted_alloc(block, size);
	return block;
}
