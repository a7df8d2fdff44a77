/*
 * Stubs, traps, patches and jumps back leave alone what the function does: every general
 * register and every flag, at its entry and at its return.  Run on each CPU.
 *
 *    probe()  calls with all registers and flags as a pattern says, and notes what they are
 *             afterwards; the call needs no register of its own
 *    mirror() notes what they are at its entry, and changes nothing but its result
 *
 * mirror() is patched where it stands, as a program's function is.
 *
 * The agent runs here as it is mapped into targets.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../targets/probe.h"
#include "agent/blob.h"
#include "arch/trap.h"
#include "region/known.h"

void record(const struct state *state);
extern const uint8_t mirror[], mirror_end[], loads[], loads_end[];

#define RESULT 0x1234 /* of mirror() */

/* clang-format off */
#if defined(__x86_64__)
#define ARCH (&arch_x86_64)
__asm__(CODE
	FUNCTION("mirror")
	"	lea -264(%rsp), %rsp\n"
	"	mov %rax, (%rsp); mov %rcx, 8(%rsp); mov %rdx, 16(%rsp); mov %rbx, 24(%rsp)\n"
	"	mov %rsi, 32(%rsp); mov %rdi, 40(%rsp); mov %rbp, 48(%rsp); mov %r8, 56(%rsp)\n"
	"	mov %r9, 64(%rsp); mov %r10, 72(%rsp); mov %r11, 80(%rsp); mov %r12, 88(%rsp)\n"
	"	mov %r13, 96(%rsp); mov %r14, 104(%rsp); mov %r15, 112(%rsp)\n"
	"	pushfq; pop 256(%rsp)\n"
	"	mov %rsp, %rdi; cld; call record\n"
	"	push 256(%rsp); popfq\n"
	"	mov 8(%rsp), %rcx; mov 16(%rsp), %rdx; mov 32(%rsp), %rsi; mov 40(%rsp), %rdi\n"
	"	mov 56(%rsp), %r8; mov 64(%rsp), %r9; mov 72(%rsp), %r10; mov 80(%rsp), %r11\n"
	"	mov $" NUMBER(RESULT) ", %eax; lea 264(%rsp), %rsp\n"
	"	ret\n"
	AT("mirror_end")
	FUNCTION("loads") /* through its own place */
	"	mov 1f(%rip), %rax; ret\n"
	"	.balign 8\n"
	"1:	.quad " NUMBER(RESULT) "\n"
	AT("loads_end"));
#elif defined(__aarch64__)
#define ARCH (&arch_aarch64)
__asm__(CODE
	FUNCTION("mirror")
	"	sub sp, sp, #272\n"
	"	stp x0, x1, [sp]; stp x2, x3, [sp, #16]; stp x4, x5, [sp, #32]\n"
	"	stp x6, x7, [sp, #48]; stp x8, x9, [sp, #64]; stp x10, x11, [sp, #80]\n"
	"	stp x12, x13, [sp, #96]; stp x14, x15, [sp, #112]; stp x16, x17, [sp, #128]\n"
	"	stp x18, x19, [sp, #144]; stp x20, x21, [sp, #160]; stp x22, x23, [sp, #176]\n"
	"	stp x24, x25, [sp, #192]; stp x26, x27, [sp, #208]; stp x28, x29, [sp, #224]\n"
	"	str x30, [sp, #240]; mrs x0, nzcv; str x0, [sp, #256]\n"
	"	mov x0, sp; bl record; ldr x0, [sp, #256]; msr nzcv, x0\n"
	"	ldr x1, [sp, #8]; ldp x2, x3, [sp, #16]; ldp x4, x5, [sp, #32]\n"
	"	ldp x6, x7, [sp, #48]; ldp x8, x9, [sp, #64]; ldp x10, x11, [sp, #80]\n"
	"	ldp x12, x13, [sp, #96]; ldp x14, x15, [sp, #112]; ldp x16, x17, [sp, #128]\n"
	"	ldr x18, [sp, #144]; ldr x30, [sp, #240]\n"
	"	mov x0, #" NUMBER(RESULT) "; add sp, sp, #272\n"
	"	ret\n"
	AT("mirror_end")
	FUNCTION("loads")
	"	ldr x0, 1f; ret\n"
	"	.balign 8\n"
	"1:	.quad " NUMBER(RESULT) "\n"
	AT("loads_end"));
#elif defined(__arm__)
#define ARCH (&arch_arm)
extern const uint8_t mirror_t32[], mirror_t32_end[];
#define MIRROR(mov)                                                                           \
	"	sub sp, sp, #136; stm sp, {r0-r12}; str lr, [sp, #52]\n"                      \
	"	mrs r1, CPSR; str r1, [sp, #128]; mov r0, sp; bl record\n"                    \
	"	ldr r1, [sp, #128]; msr CPSR_f, r1; ldm sp, {r0-r12}; ldr lr, [sp, #52]\n"    \
	"	" mov " r0, #" NUMBER(RESULT) "; add sp, sp, #136; bx lr\n"
__asm__(CODE
	FUNCTION("mirror") MIRROR("movw")
	AT("mirror_end")
	FUNCTION("loads") /* a jump through its own place */
	"	ldr pc, [pc, #-4]\n"
	"	.word 1f\n"
	"1:	movw r0, #" NUMBER(RESULT) "; bx lr\n"
	AT("loads_end")
	".thumb\n.thumb_func\n"
	FUNCTION("mirror_t32") MIRROR("movw")
	AT("mirror_t32_end")
	CODE_END);
#elif defined(__riscv)
#define ARCH (&arch_riscv64)
__asm__(CODE
	FUNCTION("mirror")
	"	addi sp, sp, -272\n"
	"	sd a0, 0(sp); sd a1, 8(sp); sd a2, 16(sp); sd a3, 24(sp); sd a4, 32(sp)\n"
	"	sd a5, 40(sp); sd a6, 48(sp); sd a7, 56(sp); sd t0, 64(sp); sd t1, 72(sp)\n"
	"	sd t2, 80(sp); sd t3, 88(sp); sd t4, 96(sp); sd t5, 104(sp); sd t6, 112(sp)\n"
	"	sd s0, 120(sp); sd s1, 128(sp); sd s2, 136(sp); sd s3, 144(sp); sd s4, 152(sp)\n"
	"	sd s5, 160(sp); sd s6, 168(sp); sd s7, 176(sp); sd s8, 184(sp); sd s9, 192(sp)\n"
	"	sd s10, 200(sp); sd s11, 208(sp); sd ra, 216(sp)\n"
	"	sd zero, 256(sp); mv a0, sp; call record\n"
	"	ld a1, 8(sp); ld a2, 16(sp); ld a3, 24(sp); ld a4, 32(sp); ld a5, 40(sp)\n"
	"	ld a6, 48(sp); ld a7, 56(sp); ld t0, 64(sp); ld t1, 72(sp); ld t2, 80(sp)\n"
	"	ld t3, 88(sp); ld t4, 96(sp); ld t5, 104(sp); ld t6, 112(sp); ld ra, 216(sp)\n"
	"	li a0, " NUMBER(RESULT) "; addi sp, sp, 272; ret\n"
	AT("mirror_end")
	".option push\n.option norvc\n.option norelax\n"
	FUNCTION("loads") /* through its own place */
	"	ld a0, 1f; ret\n"
	"	.balign 8\n"
	"1:	.quad " NUMBER(RESULT) "\n"
	AT("loads_end")
	".option pop\n");
#elif defined(__mips__)
#define ARCH (ARCH_HOST_BIG ? &arch_mips : &arch_mipsel)
__asm__(CODE
	FUNCTION("mirror")
	"	addiu $29, $29, -152\n"
	"	sw $2, 16($29); sw $3, 20($29); sw $4, 24($29); sw $5, 28($29)\n"
	"	sw $6, 32($29); sw $7, 36($29); sw $8, 40($29); sw $9, 44($29)\n"
	"	sw $10, 48($29); sw $11, 52($29); sw $12, 56($29); sw $13, 60($29)\n"
	"	sw $14, 64($29); sw $15, 68($29); sw $16, 72($29); sw $17, 76($29)\n"
	"	sw $18, 80($29); sw $19, 84($29); sw $20, 88($29); sw $21, 92($29)\n"
	"	sw $22, 96($29); sw $23, 100($29); sw $24, 104($29); sw $28, 108($29)\n"
	"	sw $30, 112($29); sw $1, 116($29)\n"
	"	mfhi $2; sw $2, 120($29); mflo $2; sw $2, 124($29)\n"
	"	sw $31, 128($29); sw $0, 144($29)\n"
	"	bal 1f; nop\n" /* (gp by the own address, not by t9) */
	"1:	lui $28, %hi(_gp_disp); addiu $28, $28, %lo(_gp_disp); addu $28, $28, $31\n"
	"	lw $25, %call16(record)($28); jalr $25; addiu $4, $29, 16\n"
	"	lw $2, 120($29); mthi $2; lw $2, 124($29); mtlo $2\n"
	"	lw $3, 20($29); lw $4, 24($29); lw $5, 28($29); lw $6, 32($29)\n"
	"	lw $7, 36($29); lw $8, 40($29); lw $9, 44($29); lw $10, 48($29)\n"
	"	lw $11, 52($29); lw $12, 56($29); lw $13, 60($29); lw $14, 64($29)\n"
	"	lw $15, 68($29); lw $24, 104($29); lw $28, 108($29); lw $1, 116($29)\n"
	"	lw $31, 128($29); li $2, " NUMBER(RESULT) "; jr $31; addiu $29, $29, 152\n"
	AT("mirror_end")
	FUNCTION("loads") /* through t9, which is its own place */
	"	lw $2, 16($25); nop; jr $31; nop\n"
	"	.word " NUMBER(RESULT) "\n"
	AT("loads_end")
	CODE_END);
#endif
/* clang-format on */

static struct state seen;

void record(const struct state *state)
{
	seen = *state;
}

/* Some pages for code, which every branch reaches from `near`. */
static uint8_t *code_near(uintptr_t near)
{
#ifdef __riscv /* (a megabyte) */
	enum { STEP = 0x10000 };
#else
	enum { STEP = 0x100000 };
#endif
	uintptr_t place = (near & ~(uintptr_t)(STEP - 1)) + 2 * STEP;

	for (int i = 0; i < 12; i++, place += STEP) {
		void *at = mmap((void *)place, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (at == (void *)place)
			return at;
	}
	fail_msg("no free page near 0x%lx", (unsigned long)near);
	return NULL;
}

static void write_code(uintptr_t at, const void *bytes, size_t len)
{
	uintptr_t page = at & ~(uintptr_t)4095;

	assert_int_equal(mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	memcpy((void *)at, bytes, len);
	__builtin___clear_cache((char *)at, (char *)at + len);
}

enum { NUMBER_OF_STUB = 321, STACK_AROUND = 1 << 16 };

struct function {
	uintptr_t at;	      /* without the state's bit */
	const void *callable; /* with it */
	size_t len;
	bool thumb;
};

static const struct function functions[] = {
	{(uintptr_t)mirror, mirror, 0, false},
#ifdef __arm__
	{(uintptr_t)mirror_t32, mirror_t32, 0, true},
#endif
};

struct patched {
	uint8_t *place;
	struct function function;
	uint8_t original[16];
	struct stub_area area;
	struct stub stub;
};

/* agent: address of its entry, or 0. */
static struct patched patch(struct function f, size_t len, enum stub_kind kind, taddr_t agent)
{
	struct patched p = {.function = f};
	const uint8_t *code;
	struct err err;

	p.function.at &= ~(uintptr_t)f.thumb;
	code = (const uint8_t *)p.function.at;
	p.place = code_near(p.function.at);
	p.area.base = (uintptr_t)p.place;
	p.area.room = 2048;
	p.area.agent = agent;
	p.stub = (struct stub){
			.kind = kind, .function = p.function.at, .thumb = f.thumb, .number = NUMBER_OF_STUB};
	memcpy(p.original, code, sizeof(p.original));
	if (ARCH->trap->stubs_build(&p.area, SIGURG, &p.stub, 1, &code, &len, NULL, &err))
		fail_msg("%s", err.text);
	write_code((uintptr_t)p.place, p.area.bytes, p.area.len);
	write_code(p.function.at + p.stub.stays, p.stub.patch, ARCH->trap->patch_len);
	return p;
}

static void restore(struct patched *p)
{
	write_code(p->function.at, p->original, sizeof(p->original));
	munmap(p->place, 8192);
}

/* What mirror() saw, and what its caller finds, is what there would be without us. */
static void check_call(const struct patched *p)
{
	struct state before = pattern(FLAGS), after = before;
	bool entered = p->stub.kind == STUB_ENTRY; /* not called by the stub */

	memset(&seen, 0, sizeof(seen));
	probe(p->function.callable, &after);
	for (int i = 0; i < REGISTERS; i++) {
		unsigned long link = (uintptr_t)probe_return;

		if (i != LINK && seen.reg[i] != before.reg[i])
			fail_msg("register %d at the entry: 0x%lx", i, seen.reg[i]);
		if (i == LINK && entered)
			assert_int_equal(seen.reg[i], link);
		if (i == 0)
			assert_int_equal(after.reg[i], RESULT);
		else if (after.reg[i] != (i == LINK ? link : before.reg[i]))
			fail_msg("register %d at the return: 0x%lx", i, after.reg[i]);
	}
	assert_int_equal(seen.flags & FLAGS, FLAGS);
	assert_int_equal(after.flags & FLAGS, FLAGS);
	before.flags = 0;
	after = before;
	probe(p->function.callable, &after);
	assert_int_equal(seen.flags & FLAGS, 0);
	assert_int_equal(after.flags & FLAGS, 0);
}

static volatile sig_atomic_t hard_traps;

static void on_trap(int signo)
{
	(void)signo;
	hard_traps++;
}

static void check_hard(struct patched *p)
{
	struct sigaction action = {.sa_handler = on_trap}, old;
	uint8_t bytes[8];

	if (!ARCH->trap->use_break)
		return;
	sigaction(SIGTRAP, &action, &old);
	hard_traps = 0;
	write_code(p->area.trap.to_break, bytes, ARCH->trap->use_break(&p->area, bytes));
	check_call(p);
	assert_int_equal(hard_traps, p->stub.kind == STUB_BOTH ? 4 : 2);
	sigaction(SIGTRAP, &old, NULL);
}

static void test_registers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		for (enum stub_kind kind = STUB_RETURN; kind <= STUB_BOTH; kind++) {
			struct patched p = patch(functions[i], (size_t)(mirror_end - mirror), kind, 0);
			uint8_t disarm[8];

			check_call(&p); /* untraced: nobody sees the trap's signal */
			check_hard(&p);
			write_code(p.area.trap.begin, disarm, ARCH->trap->disarm(disarm));
			check_call(&p); /* let go, or left behind */
			restore(&p);
		}
	}
}

/* A first instruction that says where it stands is written anew without another register. */
static void test_rewritten(void **state)
{
	const struct function function = {(uintptr_t)loads, loads, 0, false};

	(void)state;
	for (enum stub_kind kind = STUB_RETURN; kind <= STUB_BOTH; kind++) {
		struct patched p = patch(function, (size_t)(loads_end - loads), kind, 0);
		struct state before = pattern(FLAGS), after = before;

		probe(loads, &after);
		assert_int_equal(after.reg[0], RESULT);
		for (int i = 1; i < REGISTERS; i++)
			if (i != LINK && after.reg[i] != before.reg[i])
				fail_msg("register %d: 0x%lx", i, after.reg[i]);
		restore(&p);
	}
}

/* ---- by way of the agent --------------------------------------------------- */

static volatile sig_atomic_t soft_traps;

static void on_soft_trap(int signo)
{
	(void)signo;
	soft_traps++;
}

static uint64_t thread_pointer(void)
{
#ifdef __x86_64__
	uint64_t pointer;

	__asm__("mov %%fs:0, %0" : "=r"(pointer));
	return pointer;
#elif defined(__aarch64__)
	uint64_t pointer;

	__asm__("mrs %0, tpidr_el0" : "=r"(pointer));
	return pointer;
#elif defined(__arm__)
	return (uintptr_t)__builtin_thread_pointer();
#else
	return 0;
#endif
}

static void *map_memory(size_t len, int protection)
{
	void *at = mmap(NULL, len, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

/* A memory in which the stub's calls mean free(address of the pattern), which has just been. */
static struct shared memory_make(void)
{
	const struct state regs = pattern(0);
	struct shared shared = {.pieces = 1, .shift = 4};
	uint32_t number;

	shared.base = map_memory(shared_bytes(1), PROT_READ | PROT_WRITE);
	assert_true(shared_init(&shared, 16));
	*shared_hook(&shared, NUMBER_OF_STUB) = (struct shared_hook){.kind = SHARED_FREE};
	number = known_thread_set(&shared, thread_pointer(), (uintptr_t)&regs - STACK_AROUND,
				  (uintptr_t)&regs + STACK_AROUND);
	assert_int_not_equal(number, KNOWN_NONE);
	known_thread_at(&shared, number)->last_free = regs.reg[ARGUMENT];
	return shared;
}

/* check_call() makes two calls. */
static void check_agent(uint8_t *blob, enum stub_kind kind)
{
	struct blob_control *control = (struct blob_control *)(blob + BLOB_BYTES);
	const struct blob_head *head = (const struct blob_head *)blob;
	struct patched p = patch(functions[0], (size_t)(mirror_end - mirror), kind,
				 (uintptr_t)blob + head->entry);
	struct shared_place *thread = known_place(
		&head->shared, known_thread(&head->shared, thread_pointer()));
	const int calls = kind == STUB_BOTH ? 4 : 2;
	uint64_t pointer = thread->pointer;

	soft_traps = 0;
	control->on = 0;
	check_call(&p);
	assert_int_equal(soft_traps, calls);
	control->on = 1;
	check_call(&p);
	assert_int_equal(soft_traps, calls);
	thread->pointer = 1; /* it is not known any more */
	check_call(&p);
	assert_int_equal(soft_traps, 2 * calls);
	thread->pointer = pointer;
	restore(&p);
}

static void test_agent(void **state)
{
	struct sigaction action = {.sa_handler = on_soft_trap}, old;
	const struct blob_head *built = (const struct blob_head *)blob_bytes;
	struct blob_head *head;
	uint8_t *blob;

	(void)state;
	if (!blob_len)
		return;
	assert_in_range(blob_len, BLOB_HEAD, BLOB_BYTES);
	assert_int_equal(built->bytes, blob_len);
	assert_in_range(built->entry, BLOB_HEAD, blob_len - 1);
	assert_memory_equal(built->magic, "memagnt\1", 8);
	blob = map_memory(BLOB_BYTES + BLOB_CONTROL, PROT_READ | PROT_WRITE | PROT_EXEC);
	memcpy(blob, blob_bytes, blob_len);
	__builtin___clear_cache((char *)blob, (char *)blob + blob_len);
	head = (struct blob_head *)blob;
	head->shared = memory_make();
	sigaction(SIGURG, &action, &old);
	for (enum stub_kind kind = STUB_RETURN; kind <= STUB_BOTH; kind++)
		check_agent(blob, kind);
	sigaction(SIGURG, &old, NULL);
	munmap(head->shared.base, shared_bytes(1));
	munmap(blob, BLOB_BYTES + BLOB_CONTROL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_rewritten),
		cmocka_unit_test(test_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
