/*
 * Words that one side writes while the other reads.
 *
 * On 64-bit CPUs each is read and written in one piece.  On 32-bit ones a uint64_t is two, and
 * who reads beside a writer may see halves of two values: there is no agent there yet (a port
 * needs a sequence, or counters of 32 bits), and memtrace alone is one thread.
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
#else
static inline uint64_t atom_load64(const uint64_t *at)
{
	const uint32_t *half = (const uint32_t *)at;
	uint32_t first = atom_load32(half), second = atom_load32(half + 1);
	union {
		uint32_t half[2];
		uint64_t whole;
	} both = {{first, second}};

	return both.whole;
}

static inline void atom_store64(uint64_t *at, uint64_t value)
{
	union {
		uint64_t whole;
		uint32_t half[2];
	} both = {value};
	uint32_t *half = (uint32_t *)at;

	atom_store32(half, both.half[0]);
	atom_store32(half + 1, both.half[1]);
}

static inline bool atom_replace64(uint64_t *at, uint64_t expected, uint64_t value)
{
	bool is = atom_load64(at) == expected;

	if (is)
		atom_store64(at, value);
	return is;
}
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
#elif __SIZEOF_POINTER__ == 8
	__atomic_fetch_add(at, by, __ATOMIC_RELAXED);
#else
	atom_store64(at, atom_load64(at) + by);
#endif
}

/* A counter that several threads write.  (32 bits: as above.) */
static inline void atom_add64_of_many(uint64_t *at, uint64_t by)
{
#if __SIZEOF_POINTER__ == 8
	__atomic_fetch_add(at, by, __ATOMIC_RELAXED);
#else
	atom_store64(at, atom_load64(at) + by);
#endif
}

#endif
