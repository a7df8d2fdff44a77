/*
 * Words that one side writes while the other reads.
 *
 * On 64-bit CPUs each is read and written in one piece.  On 32-bit ones a uint64_t is two.  That
 * is enough for an address, whose upper half is 0, and for a key that is written once and that
 * nobody looks for before its lower half, the last one, is there: atom_load64(), atom_store64().
 * What may be any two values' halves goes by atom_*_whole(), and what is counted or claimed by
 * atom_add64() and atom_replace64(): on 32-bit ARM in one piece, by ldrexd and strexd, or, before
 * ARMv6K, by the kernel's helper (Documentation/arch/arm/kernel_user_helpers.rst), which is there
 * where an agent can be (Linux 4.14; it is of 3.1).  On other 32-bit CPUs there is none: memtrace
 * alone is one thread.
 */
#ifndef MEMTRACE_ATOM_H
#define MEMTRACE_ATOM_H

#include <stdbool.h>
#include <stdint.h>

static inline uint32_t atom_load32(const uint32_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline void atom_store32(uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* *at := value if it is `expected`; returns what it was. */
static inline uint32_t atom_swap32(uint32_t *at, uint32_t expected, uint32_t value)
{
	__atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_ACQUIRE);
	return expected;
}

#if __SIZEOF_POINTER__ == 8
static inline uint64_t atom_load64(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline void atom_store64(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* *at := value if it is `expected`. */
static inline bool atom_replace64(uint64_t *at, uint64_t expected, uint64_t value)
{
	return __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}
static inline uint64_t atom_load_whole(const uint64_t *at)
{
	return atom_load64(at);
}

static inline void atom_store_whole(uint64_t *at, uint64_t value)
{
	atom_store64(at, value);
}
#else
union atom_halves {
	uint64_t whole;
	uint32_t half[2];
};

enum { ATOM_LOW = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ };

static inline uint64_t atom_load64(const uint64_t *at)
{
	const uint32_t *half = (const uint32_t *)at;
	union atom_halves both;

	both.half[ATOM_LOW] = atom_load32(half + ATOM_LOW);
	both.half[!ATOM_LOW] = atom_load32(half + !ATOM_LOW);
	return both.whole;
}

static inline void atom_store64(uint64_t *at, uint64_t value)
{
	const union atom_halves both = {value};
	uint32_t *half = (uint32_t *)at;

	atom_store32(half + !ATOM_LOW, both.half[!ATOM_LOW]);
	atom_store32(half + ATOM_LOW, both.half[ATOM_LOW]);
}

#if defined(__arm__) && __ARM_FEATURE_LDREX & 8
static inline uint64_t atom_load_whole(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline void atom_store_whole(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static inline bool atom_replace64(uint64_t *at, uint64_t expected, uint64_t value)
{
	return __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}
#else
#ifdef __arm__
/* The helper may fail where *at is as expected. */
static inline bool atom_replace64(uint64_t *at, uint64_t expected, uint64_t value)
{
	int (*helper)(const uint64_t *, const uint64_t *, volatile uint64_t *) =
		(int (*)(const uint64_t *, const uint64_t *, volatile uint64_t *))0xffff0f60;

	while (atom_load64(at) == expected)
		if (!helper(&expected, &value, at))
			return true;
	return false;
}
#else
static inline bool atom_replace64(uint64_t *at, uint64_t expected, uint64_t value)
{
	bool is = atom_load64(at) == expected;

	if (is)
		atom_store64(at, value);
	return is;
}
#endif

/* (The memory is one that may be written to.) */
static inline uint64_t atom_load_whole(const uint64_t *at)
{
	uint64_t value = atom_load64(at);

	while (!atom_replace64((uint64_t *)at, value, value))
		value = atom_load64(at);
	return value;
}

static inline void atom_store_whole(uint64_t *at, uint64_t value)
{
	while (!atom_replace64(at, atom_load64(at), value))
		;
}
#endif
#endif

/* *at := value if it is 0. */
static inline bool atom_claim64(uint64_t *at, uint64_t value)
{
	return atom_replace64(at, 0, value);
}

/*
 * A counter with one thread that writes it.  That thread may be interrupted by a signal whose
 * handler counts, too, between any two instructions: so it is one instruction, or one that
 * notices (a load and store exclusive), but needs no lock on the bus.
 */
static inline void atom_add64(uint64_t *at, uint64_t by)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
	__asm__("addq %1, %0" : "+m"(*at) : "er"(by) : "cc");
#elif __SIZEOF_POINTER__ == 8 || (defined(__arm__) && __ARM_FEATURE_LDREX & 8)
	__atomic_fetch_add(at, by, __ATOMIC_RELAXED);
#else
	uint64_t value = atom_load64(at);

	while (!atom_replace64(at, value, value + by))
		value = atom_load64(at);
#endif
}

/* A counter that several threads write. */
static inline void atom_add64_of_many(uint64_t *at, uint64_t by)
{
#if __SIZEOF_POINTER__ == 8
	__atomic_fetch_add(at, by, __ATOMIC_RELAXED);
#else
	atom_add64(at, by);
#endif
}

#endif
