/*
 * A small process' memory in a file: what a look for leaks reads of it, and what the program itself
 * says of its blocks (heap_list).
 *
 *   magic | machine, word, tag bits, red zone | threads: tid, sp, tp, in a call, registers
 *   | modules: begin, end, bias, path, ELF header with its program headers | mappings: begin, end, rwxs, path
 *   | pages that have content: address, then {zeros, others, these bytes} until there are 4096
 *   | blocks: address, size, class
 *
 * Numbers are LEB128; each list begins with how many there are, texts and bytes with their length.
 */
#ifndef HEAP_IMAGE_H
#define HEAP_IMAGE_H

#define HEAP_IMAGE_MAGIC "memtrace heap image 1\n"

enum { HEAP_IMAGE_PAGE = 4096, HEAP_IMAGE_REGS = 64 };

#endif
