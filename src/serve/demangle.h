/* Names as linkers write them -> names as people write them. */
#ifndef MEMTRACE_DEMANGLE_H
#define MEMTRACE_DEMANGLE_H

/* The readable form of a C++ or Rust symbol, malloc'ed; NULL when it is neither (a C
 * name), or can't be understood.  Suffixes that a compiler gave to copies and parts of a
 * function (".constprop.0", ".cold", ".llvm.123") are dropped. */
char *demangle(const char *symbol);

/* Rust's v0 scheme alone ("_R..."); see rust_v0.c. */
char *rust_v0_demangle(const char *symbol);

#endif
