/* Names as linkers write them -> names as people write them. */
#ifndef MEMTRACE_DEMANGLE_H
#define MEMTRACE_DEMANGLE_H

enum { DEMANGLE_MAX = 64 << 10 }; /* bytes of a name, mangled or not */

/* The readable form of a C++ or Rust symbol, malloc'ed; NULL when it is neither (a C
 * name), or can't be understood, or would be longer than DEMANGLE_MAX.  Suffixes that a
 * compiler gave to copies and parts of a function (".constprop.0", ".cold", ".llvm.123") are
 * dropped. */
char *demangle(const char *symbol);

/* As the C++ runtime says it, without harm by names that grow without end: demangle_apart.c. */
char *demangle_cxx(const char *symbol);
/* Ends the child process that it may have begun; the next name that needs one begins another.
 */
void demangle_end(void);

/* Rust's v0 scheme alone ("_R..."); see rust_v0.c. */
char *rust_v0_demangle(const char *symbol);

#endif
