/*
 * Functions that are chosen when the program is loaded or when they are first called: a
 * symbol of type STT_GNU_IFUNC is that of a resolver, which returns the one to be used.
 *
 * Which one that is cannot be told before it has been called; but it is one of those whose
 * addresses the resolver's code makes.  All of them are the function of that name: whichever
 * is called counts, and one that calls another is the outer call.
 */
#ifndef MEMTRACE_IFUNC_H
#define MEMTRACE_IFUNC_H

#include "arch/trap.h"
#include "hook/entries.h"

enum { IFUNC_CHOICES = 16 };

/* The functions that the resolver may choose, as symbols of the resolver's name; at most
 * IFUNC_CHOICES.  0: its code does not tell. */
size_t ifunc_choices(const struct entries *entries, const struct image_symbol *resolver,
		     struct image_symbol *ret);

#endif
