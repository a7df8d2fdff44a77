/*
 * The inside of unwind/: what cfi_table.c finds, cfi_program.c executes, and
 * cfi_row.c and cfi_step.c make of it.
 *
 *   vaddr --cfi_table--> FDE, CIE --cfi_program--> rules --cfi_row--> struct row
 *                                                    |
 *                                                    +----cfi_step--> the caller's registers
 */
#ifndef MEMTRACE_CFI_PARTS_H
#define MEMTRACE_CFI_PARTS_H

#include "base/cursor.h"
#include "base/vec.h"
#include "unwind/cfi.h"

/* How a register's value in the caller is found (DWARF 5, 6.4.1). */
enum cfi_kind {
	CFI_UNSPECIFIED = 0, /* no instruction speaks of it: the ABI's default */
	CFI_UNDEFINED,
	CFI_SAME,
	CFI_OFFSET,	    /* stored at CFA + offset */
	CFI_VAL_OFFSET,	    /* is CFA + offset */
	CFI_REGISTER,	    /* is in register `number`; as the CFA's rule: that plus offset */
	CFI_EXPRESSION,	    /* stored at what the expression gives (the CFA is pushed before) */
	CFI_VAL_EXPRESSION, /* is what the expression gives */
};

struct cfi_rule {
	uint8_t kind;	 /* enum cfi_kind */
	uint32_t number; /* a register, or an expression's length */
	union {
		int64_t offset;
		const uint8_t *expression;
	};
};

struct cfi_rules {
	struct cfi_rule cfa; /* CFI_REGISTER or CFI_VAL_EXPRESSION; CFI_UNSPECIFIED: none yet */
	int64_t cfa_offset;  /* the last one that was said, kept over an expression */
	struct cfi_rule reg[ARCH_MAX_REGS];
	bool signed_ra; /* AArch64: the return address carries a PAC */
};

struct cfi_section {
	struct image_bytes data;
	bool eh; /* .eh_frame, otherwise .debug_frame */
};

struct cfi_cie {
	size_t offset; /* in its section */
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra_reg;
	uint8_t address_size, segment_size;
	uint8_t encoding; /* of an FDE's addresses: DW_EH_PE_* */
	uint8_t lsda_encoding; /* 'L': of the pointer to its exception table */
	bool has_length;  /* 'z': FDEs carry a length of their augmentation */
	bool signal;	  /* 'S' */
	const uint8_t *program, *end;
};

struct cfi_fde {
	const struct cfi_section *section;
	struct cfi_cie cie;
	uint64_t begin, end; /* vaddrs */
	bool handlers;	     /* it has an exception table (LSDA) */
	const uint8_t *program, *program_end;
};

struct cfi_range { /* of the index: one FDE */
	uint64_t begin, end;
	size_t offset;
};

struct cfi_index {
	VEC(struct cfi_range) ranges; /* ascending */
	bool built;
};

/* Code of which what is said is untrue. */
struct cfi_switch {
	uint64_t begin, len;
};

enum { CFI_SWITCHES = 4 };

struct cfi {
	struct image *image; /* NULL: a copy */
	const struct arch *arch;
	uint64_t mask;				  /* of addresses: 32 or 64 bits */
	struct cfi_section eh_frame, debug_frame; /* data.bytes NULL: not there */
	struct cfi_index eh_index, debug_index;
	/* .eh_frame_hdr's table: hdr_count pairs {address, FDE}, 4 bytes each. */
	uint64_t hdr_vaddr;
	uint64_t text; /* where .text is; 0: not known */
	const uint8_t *hdr_table; /* NULL: not there, or caught lying */
	size_t hdr_count;
	bool hdr_complete; /* it was compared with all FDEs */
	/* The initial rules of the last CIE: nearly all FDEs of a file share one. */
	const struct cfi_section *last_section;
	size_t last_offset;
	struct cfi_rules last_initial;
	struct cfi_switch switches[CFI_SWITCHES];
	size_t switch_count;
};

/* Over bytes of the file, in its byte order. */
static inline struct cursor cfi_cursor(const struct cfi *cfi, const void *bytes, size_t len)
{
	return cursor_in_order(bytes, len, cfi->arch->big_endian);
}

/* cfi_switch.c: finds the functions that change stacks without saying so. */
void cfi_switch_open(struct cfi *cfi);
/* Is what is said of vaddr known to be untrue? */
bool cfi_is_untrue(const struct cfi *cfi, uint64_t vaddr);

/* cfi_table.c */
void cfi_table_open(struct cfi *cfi);
void cfi_table_close(struct cfi *cfi);
/* The FDE that covers vaddr.  -ENOENT: none.  -EINVAL: it is broken, or untrue. */
int cfi_table_find(struct cfi *cfi, uint64_t vaddr, struct cfi_fde *ret);

/* cfi_entry.c: CIEs and FDEs as bytes. */
struct cfi_entry {
	size_t offset, next; /* in the section */
	bool is_cie;
	size_t cie_offset;    /* of an FDE */
	unsigned offset_size; /* 4 or 8: 32- or 64-bit DWARF */
	struct cursor body;   /* behind the id */
};
/* The entry at offset.  0, -ENOENT: the end, -EINVAL. */
int cfi_entry_read(const struct cfi *cfi, const struct cfi_section *section, size_t offset,
		   struct cfi_entry *ret);
int cfi_entry_fde(const struct cfi *cfi, const struct cfi_section *section, size_t offset,
		  struct cfi_fde *ret);
/* An encoded pointer (LSB 5, DW_EH_PE_*). */
bool cfi_entry_pointer(const struct cfi *cfi, const struct cfi_section *section,
		       struct cursor *c, uint8_t encoding, uint8_t address_size, uint64_t *ret);

/* The ranges of all FDEs of a section, ascending; built on first use. */
const struct cfi_index *cfi_table_index(const struct cfi *cfi,
					const struct cfi_section *section,
					struct cfi_index *index);

/* cfi_program.c: the rules in force at vaddr, which fde covers.  0 or -EINVAL. */
int cfi_program_run(struct cfi *cfi, const struct cfi_fde *fde, uint64_t vaddr,
		    struct cfi_rules *ret);

/* The same from vaddr to the FDE's end: visit is called with the rules of each place on where
 * they change (NULL: there are none, or they are broken), until it returns true. */
void cfi_program_each(struct cfi *cfi, const struct cfi_fde *fde, uint64_t vaddr,
		      bool (*visit)(void *arg, uint64_t begin, uint64_t end,
				    const struct cfi_rules *rules),
		      void *arg);

/* Whether the instructions say where a place is by an encoded pointer, whose meaning hangs on
 * where it stands: no producer is known to. */
bool cfi_program_names_places(struct cfi *cfi, const struct cfi_fde *fde);

/* cfi_row.c: the row that such rules come to. */
void cfi_row_reduce(const struct cfi *cfi, const struct cfi_fde *fde,
		    const struct cfi_rules *rules, struct row *row);

/* cfi_expr.c: evaluates a DWARF expression over registers and memory; `initial`
 * (may be NULL) is pushed first.  0, -EINVAL (broken, unsupported, an unknown
 * register), -EFAULT. */
int cfi_expr_value(const struct cfi *cfi, const uint8_t *expression, size_t len,
		   const struct full_regs *regs, struct memory *memory, const uint64_t *initial,
		   uint64_t *ret);

/* cfi_step.c */
/* The rule by which reg is restored, the ABI's default included. */
struct cfi_rule cfi_step_rule(const struct cfi *cfi, const struct cfi_rules *rules,
			      uint64_t reg);

#endif
