/*
 * Walks of this program's own stack, in the places that are hard: both walks must
 * find the frames that libgcc's unwinder finds, exactness included.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "elf/module.h"
#include "unwind/full.h"
#include "unwind/unwinder.h"

enum { MAX = 128, ALT_STACK = 1 << 18 };

static struct modules modules;
static struct memory_file self;

struct stack {
	frame_t frames[MAX];
	size_t count;
	enum walk_end end;
};

/* What one visit to check_here() found. */
static struct {
	bool visited;
	struct stack rows, full;
	uint64_t pc[MAX];
	bool exact[MAX];
	size_t count;
} seen;

/* ---- the walks' views of this process ---------------------------------------------- */

static void forget(struct module *module)
{
	unwinder_close(module->owner);
}

static struct unwinder *unwinder_of(struct module *module)
{
	struct unwinder *unwinder = module->owner;

	if (!unwinder && module->image &&
	    !unwinder_open(module->image, arch_native(), &unwinder, NULL))
		module->owner = unwinder;
	return unwinder;
}

static struct unwinder *lookup(uint64_t pc, uint64_t lookup_pc, frame_t *frame,
			       struct unwinder_place *place)
{
	struct module *module = modules_find(&modules, lookup_pc);

	*frame = module ? frame_of(module->instance, pc - module->bias)
			: frame_of(FRAME_NOWHERE, pc);
	if (!module)
		return NULL;
	*place = (struct unwinder_place){.vaddr = pc - module->bias, .exact = pc == lookup_pc};
	return unwinder_of(module);
}

static const struct row *row_of(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame)
{
	static struct row row;
	struct unwinder_place place;
	struct unwinder *unwinder = lookup(pc, lookup_pc, frame, &place);

	(void)arg;
	row = (struct row){.cfa = ROW_CFA_NONE};
	if (unwinder)
		unwinder_row(unwinder, &place, &row);
	return &row;
}

static int step(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame,
		struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	struct unwinder_place place;
	struct unwinder *unwinder = lookup(pc, lookup_pc, frame, &place);

	(void)arg;
	return unwinder ? unwinder_step(unwinder, &place, &self.memory, regs, cfa, flags)
			: -ENOENT;
}

static int read_word(void *arg, uint64_t addr, uint64_t *ret)
{
	(void)arg;
	return memory_read(&self.memory, addr, ret, sizeof(*ret));
}

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg)
{
	int exact;
	uint64_t pc = _Unwind_GetIPInfo(context, &exact);

	(void)arg;
	if (pc == 0 || seen.count == MAX)
		return _URC_END_OF_STACK;
	seen.pc[seen.count] = pc;
	seen.exact[seen.count++] = exact;
	return _URC_NO_REASON;
}

#ifdef __x86_64__
#define REALIGNS __attribute__((force_align_arg_pointer))
#else
#define REALIGNS
#endif

/* The registers of a context, by their DWARF numbers. */
static void registers_of(const ucontext_t *context, struct full_regs *ret)
{
	const mcontext_t *m = &context->uc_mcontext;
	const struct arch *arch = arch_native();

	*ret = (struct full_regs){.known = (2ull << arch->reg_pc) - 1};
#ifdef __x86_64__
	static const int numbers[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
				      REG_RBP, REG_RSP, REG_R8,	 REG_R9,  REG_R10, REG_R11,
				      REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		ret->value[i] = (uint64_t)m->gregs[numbers[i]];
#else /* AArch64.  32-bit ARM has no DWARF tables where libgcc would use them. */
	memcpy(ret->value, m->regs, sizeof(m->regs));
	ret->value[arch->reg_sp] = m->sp;
	ret->value[arch->reg_pc] = m->pc;
#endif
}

static void walk_both(const ucontext_t *context)
{
	const struct arch *arch = arch_native();
	const struct walk_ops ops = {.row = row_of,
				     .read_word = read_word,
				     .word_size = 8,
				     .code_mask = arch->code_mask};
	const struct full_ops full_ops = {.step = step, .rest = &ops};
	struct full_regs all;
	struct walk_regs regs;

	registers_of(context, &all);
	regs = (struct walk_regs){.pc = all.value[arch->reg_pc],
				  .sp = all.value[arch->reg_sp],
				  .fp = all.value[arch->reg_fp]};
	seen.rows.count = walk_stack(&ops, &regs, false, seen.rows.frames, MAX, &seen.rows.end);
	seen.full.count =
		full_walk(&full_ops, arch, &all, false, seen.full.frames, MAX, &seen.full.end);
}

/* Walks from here by all three; the first frame is this function itself. */
static __attribute__((noinline)) void walk_here(void)
{
	ucontext_t context;

	memset(&seen, 0, sizeof(seen));
	seen.visited = true;
	getcontext(&context);
	walk_both(&context);
	_Unwind_Backtrace(visit, NULL);
}

static void compare(const struct stack *stack)
{
	/* libgcc passes over the outermost frame, whose return address is undefined, in
	 * some versions. */
	assert_true(stack->count == seen.count || stack->count == seen.count + 1);
	assert_int_equal(stack->end, WALK_ROOT);
	for (size_t i = 1; i < seen.count; i++) {
		struct module *module = modules_find(&modules, seen.pc[i] - !seen.exact[i]);
		frame_t expected = frame_of(module->instance, seen.pc[i] - module->bias);

		assert_int_equal(stack->frames[i],
				 expected | (seen.exact[i] ? FRAME_EXACT : 0));
	}
}

static void check_here_was(size_t at_least)
{
	assert_true(seen.visited);
	assert_true(seen.count >= at_least);
	compare(&seen.full);
	if (seen.rows.end != WALK_FULL)
		compare(&seen.rows);
}

static size_t signal_frames(void)
{
	size_t count = 0;

	for (size_t i = 0; i < seen.count; i++)
		count += seen.exact[i];
	return count;
}

/* ---- hard places ------------------------------------------------------------------- */

static __attribute__((noinline)) int deeper(int depth, volatile char *below)
{
	volatile char *room = __builtin_alloca(64 + (size_t)depth * 8);

	room[0] = below ? below[0] : 0;
	if (depth == 0)
		walk_here();
	else
		deeper(depth - 1, room);
	return room[0];
}

static void plain_calls(void **state)
{
	(void)state;
	deeper(20, NULL);
	check_here_was(24);
	assert_int_not_equal(seen.rows.end, WALK_FULL);
}

static int comparison(const void *a, const void *b)
{
	if (!seen.visited)
		walk_here();
	return *(const int *)a - *(const int *)b;
}

static void calls_through_libc(void **state)
{
	int numbers[] = {5, 3, 9, 1, 7};
	void *root = NULL;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	qsort(numbers, ARRAY_SIZE(numbers), sizeof(numbers[0]), comparison);
	check_here_was(6);
	memset(&seen, 0, sizeof(seen));
	tsearch(&numbers[0], &root, comparison);
	tsearch(&numbers[1], &root, comparison);
	check_here_was(4);
	tdelete(&numbers[0], &root, comparison);
	tdelete(&numbers[1], &root, comparison);
}

/* A frame that is realigned and has a variable size: on x86-64 CFA = *(rbp - n). */
static REALIGNS __attribute__((noinline)) int realigned(size_t size)
{
	_Alignas(128) volatile char aligned[256];
	volatile char *variable = __builtin_alloca(size);

	aligned[0] = variable[0] = 1;
	assert_int_equal((uintptr_t)aligned % 128, 0);
	walk_here();
	return aligned[0] + variable[0];
}

static void realigned_frames(void **state)
{
	(void)state;
	realigned(100);
	check_here_was(5);
	realigned(5000);
	check_here_was(5);
}

static void on_signal(int signo)
{
	(void)signo;
	walk_here();
}

static void handle(int signo, int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

	memset(&seen, 0, sizeof(seen));
	sigaction(signo, &action, NULL);
}

static void a_signal_handler(void **state)
{
	(void)state;
	handle(SIGUSR1, 0);
	raise(SIGUSR1);
	check_here_was(6);
	assert_int_equal(signal_frames(), 1);
}

static void a_signal_handler_on_a_stack_of_its_own(void **state)
{
	stack_t stack = {.ss_size = ALT_STACK}, old;

	(void)state;
	stack.ss_sp = mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	assert_ptr_not_equal(stack.ss_sp, MAP_FAILED);
	assert_int_equal(sigaltstack(&stack, &old), 0);
	handle(SIGUSR2, SA_ONSTACK);
	raise(SIGUSR2);
	check_here_was(6);
	assert_int_equal(signal_frames(), 1);
	sigaltstack(&old, NULL);
	munmap(stack.ss_sp, ALT_STACK);
}

static void *in_thread(void *arg)
{
	walk_here();
	return arg;
}

static void another_thread(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
	pthread_join(thread, NULL);
	check_here_was(3);
}

/* The kernel's own library, read from memory, has rows like any other (where it has unwind
 * data: AArch64's has had none since Linux 5.8). */
static void the_vdso_has_rows(void **state)
{
	struct module *vdso = modules_find(&modules, getauxval(AT_SYSINFO_EHDR));
	struct unwinder_place place = {.exact = true};
	struct image_symbol symbol;
	struct row row;

	(void)state;
	if (!vdso || !image_eh_frame(vdso->image)->bytes)
		skip(); /* or vdso=0 on the kernel's command line */
	assert_true(image_symbol_find(vdso->image, "__vdso_getcpu", &symbol));
	assert_non_null(unwinder_of(vdso));
	place.vaddr = symbol.value;
	unwinder_row(unwinder_of(vdso), &place, &row);
	assert_int_equal(row.cfa, ROW_CFA_SP);
	assert_int_equal(row.cfa_offset, 8);
	assert_int_equal(row.ra_offset, -8);
}

static int setup(void **state)
{
	struct maps maps;
	struct err err;
	int failed;

	(void)state;
	memory_file_init(&self, open("/proc/self/mem", O_RDONLY));
	modules_init(&modules, forget);
	if (maps_read(getpid(), &maps, &err))
		return -1;
	failed = modules_update(&modules, getpid(), &maps, &self.memory, NULL, &err);
	maps_deinit(&maps);
	return failed;
}

static int teardown(void **state)
{
	(void)state;
	modules_deinit(&modules);
	close(self.fd);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_calls),
		cmocka_unit_test(calls_through_libc),
		cmocka_unit_test(realigned_frames),
		cmocka_unit_test(a_signal_handler),
		cmocka_unit_test(a_signal_handler_on_a_stack_of_its_own),
		cmocka_unit_test(another_thread),
		cmocka_unit_test(the_vdso_has_rows),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
