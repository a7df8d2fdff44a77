/*
 * Hooks on a child of this test: what is planned by its files, what applying writes, that
 * undoing leaves nothing, and what becomes of a predecessor's leftovers and of functions
 * that somebody else has changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <elf.h>
#include <gnu/lib-names.h>
#include <link.h>
#include <sys/auxv.h>

#include "capture/traps.h"
#include "child_case.h"
#include "hook/padding.h"
#include "hook/predecessor.h"
#include "tracer/between.h"
#include "tracer/hide.h"
#include "tracer/inside.h"

struct fixture {
	struct child_case child;
	struct tracee tracee;
	struct maps maps;
	struct modules modules;
	struct hooks hooks;
	struct traps traps;
	struct externals externals; /* none */
	struct undo *undo;
	size_t planned;
	char warnings[4096], steps[8192];
	uint8_t *before; /* the executable bytes of libc, the loader and this program */
	size_t before_len;
};

/* ---- notes ------------------------------------------------------------------ */

static void append(char *text, size_t size, const char *format, va_list args)
{
	size_t len = strlen(text);

	vsnprintf(text + len, size - len, format, args);
	len = strlen(text);
	snprintf(text + len, size - len, "\n");
}

static void on_step(void *arg, const char *format, ...)
{
	struct fixture *f = arg;
	va_list args;

	va_start(args, format);
	append(f->steps, sizeof(f->steps), format, args);
	va_end(args);
}

static void on_miss(void *arg, const struct module *module, const char *function,
		    const char *format, ...)
{
	struct fixture *f = arg;
	size_t len = strlen(f->warnings);
	va_list args;

	snprintf(f->warnings + len, sizeof(f->warnings) - len,
		 "%s in %s: ", function ? function : "all", module->id.path);
	va_start(args, format);
	append(f->warnings, sizeof(f->warnings), format, args);
	va_end(args);
}

/* ---- the child's code ---------------------------------------------------------- */

/* All executable memory of files, one piece behind the other. */
static uint8_t *exec_read(struct fixture *f, size_t *len)
{
	uint8_t *bytes = NULL;

	*len = 0;
	for (size_t i = 0; i < f->maps.list.len; i++) {
		const struct mapping *m = &f->maps.list.at[i];

		if (!m->exec || !m->inode)
			continue;
		bytes = realloc(bytes, *len + (size_t)(m->end - m->begin));
		assert_int_equal(target_read(&f->tracee.target, m->begin, bytes + *len,
					     (size_t)(m->end - m->begin)),
				 0);
		*len += (size_t)(m->end - m->begin);
	}
	return bytes;
}

static void assert_untouched(struct fixture *f)
{
	size_t len;
	uint8_t *now = exec_read(f, &len);

	assert_int_equal(len, f->before_len);
	for (size_t i = 0; i < len; i++)
		if (now[i] != f->before[i])
			fail_msg("byte %zu of the code is %02x, was %02x", i, now[i],
				 f->before[i]);
	free(now);
}

/* ---- all threads are stopped -------------------------------------------------------- */

static void go_on(void *arg, struct stop *stop)
{
	hide_stop(arg, stop);
	if (stop->thread)
		tracee_continue(arg, stop->thread);
}

static int start(void **state)
{
	static struct fixture f;
	struct err err = {0};
	bool failed;

	memset(&f, 0, sizeof(f));
	f.child = child_start(child_idle, NULL);
	child_hear(&f.child);
	child_wait_for_call(f.child.pid, CHILD_IDLE_CALL);
	f.undo = undo_create();
	f.hooks.notes = (struct hook_notes){on_step, on_miss, &f};
	f.hooks.process =
		(struct hook_process){&f.tracee, f.undo, &f.modules, &f.maps, &f.externals};
	f.traps = (struct traps){.hooks = &f.hooks, .signo = SIGURG};
	f.hooks.payload = traps_payload(&f.traps);
	modules_init(&f.modules, NULL);
	failed = tracee_attach(&f.tracee, f.child.pid, &err) ||
		 child_stop(&f.tracee, go_on, &f.tracee, &err) ||
		 maps_read(f.child.pid, &f.maps, &err) ||
		 modules_update(&f.modules, f.child.pid, &f.maps, &f.tracee.target.memory, NULL,
				&err);
	if (failed)
		fail_msg("%s", err.text);
	f.before = exec_read(&f, &f.before_len);
	*state = &f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	hooks_deinit(&f->hooks);
	tracee_resume(&f->tracee);
	tracee_release(&f->tracee);
	modules_deinit(&f->modules);
	maps_deinit(&f->maps);
	undo_destroy(f->undo);
	free(f->before);
	child_end(&f->child);
	return 0;
}

static void plan(struct fixture *f, enum hook_scope scope)
{
	const struct module *loader = modules_find(&f->modules, getauxval(AT_BASE));
	struct err err = {0};

	f->hooks.loader = loader ? loader->instance : 0;
	if (hooks_plan(&f->hooks, scope, &f->planned, &err))
		fail_msg("%s", err.text);
}

static void apply(struct fixture *f)
{
	struct err err = {0};

	if (hooks_apply(&f->hooks, &err))
		fail_msg("%s", err.text);
}

static taddr_t libc_address(const char *name)
{
	void *libc = dlopen(LIBC_SO, RTLD_NOW | RTLD_NOLOAD);
	taddr_t address = (taddr_t)(uintptr_t)dlsym(libc, name) & ~arch_native()->state_mask;

	dlclose(libc);
	return address;
}

/* The hook on a function of libc, whatever its name of several (a sanitizer's library has
 * a malloc too). */
static const struct hook *find(const struct fixture *f, const char *name)
{
	taddr_t address = libc_address(name);

	for (size_t i = 0; i < f->hooks.list.len; i++)
		if (f->hooks.list.at[i].address == address)
			return &f->hooks.list.at[i];
	return NULL;
}

static const struct hook_area *area_of(const struct fixture *f, const char *name)
{
	return &f->hooks.areas.at[find(f, name)->area];
}

static bool has_loader_hook(const struct fixture *f)
{
	for (size_t i = 0; i < f->hooks.list.len; i++)
		if (f->hooks.list.at[i].function->call == CALL_LOADER)
			return true;
	return false;
}

/* As a debugger finds it; the symbol may be a copy of this program's. */
static taddr_t r_debug(void)
{
	for (const ElfW(Dyn) *d = _DYNAMIC; d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_DEBUG)
			return d->d_un.d_ptr;
	return 0;
}

/* As at a detach: what is ours, and what was found. */
static void put_back(struct fixture *f)
{
	bool left;
	assert_int_equal(undo_run(f->undo, &f->tracee.target), 0);
	assert_false(inside_any(&f->tracee, f->undo));
	assert_int_equal(undo_wipe(f->undo, &f->tracee.target), 0);
	predecessor_wipe(&f->hooks.process, &left);
	assert_untouched(f);
}

/* ---- tests --------------------------------------------------------------------------- */

static void the_table_of_names(void **state)
{
	size_t count;
	const struct function *functions = functions_table(false, &count);

	(void)state;
	assert_true(count > 12);
	for (size_t i = 0; i < count; i++) {
		bool found = !functions[i].instead;

		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(functions[i].name, functions[k].name);
			found |= functions[i].instead &&
				 !strcmp(functions[i].instead, functions[k].name);
		}
		assert_true(found); /* what is run instead stands earlier */
		assert_int_equal(functions[i].kind == STUB_INSTEAD, !!functions[i].instead);
		if (functions[i].call == CALL_FREE)
			assert_int_equal(functions[i].kind, STUB_ENTRY);
		if (functions[i].call == CALL_REALLOC || functions[i].call == CALL_REALLOCARRAY)
			assert_int_equal(functions[i].kind, STUB_BOTH);
	}
	functions = functions_table(true, &count);
	assert_int_equal(count, 1);
	assert_string_equal(functions[0].name, "_dl_debug_state");
}

static void what_is_planned(void **state)
{
	static const char *const names[] = {"malloc",  "free",	       "calloc",
					    "realloc", "reallocarray", "posix_memalign",
					    "valloc",  "memalign",     "pvalloc"};
	struct fixture *f = *state;
	uint32_t r_state = 77;

	plan(f, HOOK_ALL);
	assert_string_equal(f->warnings, "");
	assert_true(f->hooks.allocators);
	assert_int_equal(f->planned, f->hooks.list.len);
	assert_true(f->hooks.areas.len >= 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const struct hook *hook = find(f, names[i]);
		const struct module *libc = modules_find(&f->modules, libc_address(names[i]));

		assert_non_null(hook);
		assert_true(hook->address == libc_address(names[i]));
		assert_int_equal(hook->instance, libc->instance);
		assert_true(
			hook->frame ==
			(frame_of(libc->instance, hook->address - libc->bias) | FRAME_EXACT));
		assert_true(hook->stub.function - hook->address <= 4);
		assert_false(hook->applied);
	}
	for (size_t i = 0; i < f->hooks.list.len; i++)
		for (size_t k = 0; k < i; k++)
			assert_true(f->hooks.list.at[i].address != f->hooks.list.at[k].address);
	/* The loader's notification, and where it says what is going on. */
	assert_true(has_loader_hook(f));
	assert_true(f->hooks.loader_state == r_debug() + offsetof(struct r_debug, r_state));
	assert_int_equal(target_read(&f->tracee.target, f->hooks.loader_state, &r_state, 4), 0);
	assert_int_equal(r_state, RT_CONSISTENT);
	assert_untouched(f);
}

static void planned_once(void **state)
{
	struct fixture *f = *state;
	size_t count;

	plan(f, HOOK_LOADER);
	assert_true(has_loader_hook(f));
	assert_null(find(f, "malloc"));
	assert_false(f->hooks.allocators);
	count = f->hooks.list.len;
	plan(f, HOOK_ALL);
	assert_true(f->hooks.list.len > count);
	count = f->hooks.list.len;
	plan(f, HOOK_ALL);
	assert_int_equal(f->hooks.list.len, count);
	assert_int_equal(f->planned, count);
	apply(f);
	plan(f, HOOK_ALL);
	assert_int_equal(f->planned, 0);
}

static void areas_are_apart(const struct fixture *f)
{
	for (size_t i = 0; i < f->hooks.areas.len; i++) {
		const struct stub_area *a = &f->hooks.areas.at[i].area;
		const struct mapping *m = maps_find(&f->maps, a->base);

		assert_true(m && m->exec && a->base + a->len <= m->end);
		for (size_t k = 0; k < i; k++) {
			const struct stub_area *b = &f->hooks.areas.at[k].area;

			assert_true(a->base + a->len <= b->base || b->base + b->len <= a->base);
		}
	}
}

static void what_applying_writes(void **state)
{
	struct fixture *f = *state;
	const struct arch *arch = f->tracee.arch;
	uint8_t bytes[UNDO_AREA_BYTES];

	plan(f, HOOK_ALL);
	apply(f);
	areas_are_apart(f);
	for (size_t i = 0; i < f->hooks.areas.len; i++) {
		const struct stub_area *area = &f->hooks.areas.at[i].area;

		assert_true(f->hooks.areas.at[i].applied);
		assert_int_equal(target_read(&f->tracee.target, area->base, bytes, area->len),
				 0);
		assert_memory_equal(bytes, area->bytes, area->len);
		assert_memory_equal(bytes, arch->trap->magic, arch->trap->magic_len);
		assert_true(undo_covers(f->undo, area->base + area->len - 1));
		assert_int_equal(traps_signal_at(&f->traps, area->trap.pc), SIGURG);
		assert_int_equal(traps_signal_at(&f->traps, area->trap.pc + 1), 0);
		assert_ptr_equal(hooks_area_at(&f->hooks, area->base), area);
		assert_ptr_equal(hooks_area_at(&f->hooks, area->base + area->len - 1), area);
		assert_ptr_not_equal(hooks_area_at(&f->hooks, area->base + area->len), area);
	}
	for (size_t i = 0; i < f->hooks.list.len; i++) {
		const struct hook *hook = &f->hooks.list.at[i];
		bool entry;

		assert_true(hook->applied && !hook->code.bytes);
		assert_int_equal(target_read(&f->tracee.target, stub_patch_at(&hook->stub),
					     bytes, arch_patch_most(arch->trap)),
				 0);
		assert_true(arch->trap->patch_target(bytes,
					       stub_patch_at(&hook->stub) | hook->stub.thumb) ==
			    hook->stub.entry);
		assert_ptr_equal(hooks_by_stub(&f->hooks, hook->stub.entry), hook);
		assert_ptr_equal(hooks_by_stub(&f->hooks, hook->stub.copy), hook);
		if (hook->stub.payload_entry) {
			assert_ptr_equal(
				traps_hook_at(&f->traps, hook->stub.payload_entry, &entry),
				hook);
			assert_true(entry);
		}
		if (hook->stub.payload_return) {
			assert_ptr_equal(
				traps_hook_at(&f->traps, hook->stub.payload_return, &entry),
				hook);
			assert_false(entry);
		}
	}
	assert_null(hooks_by_stub(&f->hooks, libc_address("malloc")));
	assert_non_null(strstr(f->steps, "Set breakpoint on malloc in /"));
}

static void undone_without_a_trace(void **state)
{
	struct fixture *f = *state;

	plan(f, HOOK_ALL);
	apply(f);
	assert_int_equal(undo_run(f->undo, &f->tracee.target), 0);
	assert_false(inside_any(&f->tracee, f->undo));
	assert_int_equal(undo_wipe(f->undo, &f->tracee.target), 0);
	assert_untouched(f);
}

static void a_function_that_was_changed(void **state)
{
	struct fixture *f = *state;
	taddr_t address = libc_address("pvalloc") + 1;
	uint8_t byte, before;

	assert_int_equal(target_read(&f->tracee.target, address, &before, 1), 0);
	byte = before ^ 0xff;
	assert_int_equal(target_write(&f->tracee.target, address, &byte, 1), 0);
	plan(f, HOOK_ALL);
	assert_non_null(strstr(f->warnings, "pvalloc in "));
	assert_non_null(strstr(f->warnings, ": its code is not as in the file (changed by "
					    "another tool?)"));
	assert_null(strchr(f->warnings, '\n')[1] ? f->warnings : NULL); /* one warning */
	assert_null(find(f, "pvalloc"));
	assert_non_null(find(f, "malloc"));
	apply(f);
	assert_int_equal(target_read(&f->tracee.target, address, &byte, 1), 0);
	assert_int_equal(byte, before ^ 0xff);
}

/* A uprobe's: it stays, and what it stands on, and the patch comes behind it. */
static void a_breakpoint_on_a_function(void **state)
{
#ifdef __x86_64__
	struct fixture *f = *state;
	taddr_t address = libc_address("pvalloc");
	const struct hook *hook;
	uint8_t before, byte = 0xcc;

	assert_int_equal(target_read(&f->tracee.target, address, &before, 1), 0);
	assert_int_equal(target_write(&f->tracee.target, address, &byte, 1), 0);
	plan(f, HOOK_ALL);
	assert_string_equal(f->warnings, "");
	hook = find(f, "pvalloc");
	assert_non_null(hook);
	assert_true(stub_patch_at(&hook->stub) > address);
	assert_int_equal(hook->code.bytes[0], before); /* in the copy */
	apply(f);
	assert_int_equal(target_read(&f->tracee.target, address, &byte, 1), 0);
	assert_int_equal(byte, 0xcc);
	assert_int_equal(target_write(&f->tracee.target, address, &before, 1), 0);
	put_back(f);
#else
	(void)state;
	skip();
#endif
}

/* What was planned with is no more as it was: nothing is written, and it is planned anew. */
static void changed_since_it_was_planned(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	taddr_t places[2];

	plan(f, HOOK_ALL);
	places[0] = libc_address("pvalloc") + 1;
	places[1] = area_of(f, "malloc")->area.base + area_of(f, "malloc")->area.len - 1;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		uint8_t before, byte;

		assert_int_equal(target_read(&f->tracee.target, places[i], &before, 1), 0);
		byte = before ^ 0xff;
		assert_int_equal(target_write(&f->tracee.target, places[i], &byte, 1), 0);
		assert_int_equal(hooks_apply(&f->hooks, &err), -ESTALE);
		assert_int_equal(target_write(&f->tracee.target, places[i], &before, 1), 0);
		assert_untouched(f);
	}
	hooks_unplan(&f->hooks);
	assert_int_equal(f->hooks.list.len, 0);
	assert_int_equal(f->hooks.areas.len, 0);
	plan(f, HOOK_ALL);
	assert_non_null(find(f, "malloc"));
	apply(f);
	put_back(f);
}

/* Somebody has hooked over our patch: what he has a copy of must go on leading somewhere. */
static void another_hook_over_ours(void **state)
{
	bool left;
	struct fixture *f = *state;
	taddr_t at, first = 0;
	uint8_t other[16], bytes[UNDO_AREA_BYTES];
	struct stub_area area;
	uint32_t trap;

	plan(f, HOOK_ALL);
	apply(f);
	at = stub_patch_at(&find(f, "pvalloc")->stub);
	area = area_of(f, "pvalloc")->area;
	memset(other, 0x5a, sizeof(other));
	assert_int_equal(target_write(&f->tracee.target, at, other, f->tracee.arch->trap->patch_len),
			 0);
	assert_int_equal(undo_run(f->undo, &f->tracee.target), 0);
	assert_int_equal(undo_others(f->undo, &f->tracee.target, &first), 1);
	assert_true(first == at);
	assert_int_equal(undo_wipe(f->undo, &f->tracee.target), 0);
	hooks_clear(&f->hooks);
	undo_clear(f->undo);
	predecessor_wipe(&f->hooks.process, &left);
	/* Both are there, the stubs without effect. */
	assert_int_equal(target_read(&f->tracee.target, at, bytes, f->tracee.arch->trap->patch_len),
			 0);
	assert_memory_equal(bytes, other, f->tracee.arch->trap->patch_len);
	assert_int_equal(target_read(&f->tracee.target, area.base, bytes, area.len), 0);
	trap = (uint32_t)(area.trap.begin - area.base);
	assert_memory_equal(bytes + trap + 8, area.bytes + trap + 8, area.len - trap - 8);
	assert_memory_not_equal(bytes + trap, area.bytes + trap, 8);
}

/* memtrace was killed, and its guardian too: patches and stubs are still there. */
static struct module *module_of_program(const struct fixture *f)
{
	return modules_find(&f->modules, (taddr_t)(uintptr_t)&f->modules);
}

#ifdef __x86_64__
/* Of two bytes, with another function behind; of four, of which the first two make an argument. */
__asm__(".text\n"
	".globl jump_alone\n.type jump_alone, @function\n"
	"jump_alone: jmp jump_to_alone\n.size jump_alone, 2\n"
	".globl jump_to_alone\n.type jump_to_alone, @function\n"
	"jump_to_alone: jmp jump_far\n.size jump_to_alone, 2\n"
	".globl jump_with_zero\n.type jump_with_zero, @function\n"
	"jump_with_zero: xor %edi, %edi\njmp jump_far\n.size jump_with_zero, 4\n"
	".globl jump_far\n.type jump_far, @function\n"
	"jump_far: mov $1, %eax\nnopw 0(%rax,%rax)\nnopw 0(%rax,%rax)\nret\n.size jump_far, . - jump_far\n");

/* What is nothing but a jump, and too short, is followed where it leads, by more than one, too. */
static void nothing_but_a_jump(void **state)
{
	static const struct {
		const char *name, *followed;
	} rows[] = {{"jump_alone", "jump_far"}, {"jump_to_alone", "jump_far"},
		    {"jump_with_zero", "jump_with_zero"}, {"jump_far", "jump_far"}};
	const struct fixture *f = *state;
	struct module *module = module_of_program(f);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct image_symbol symbol, followed;

		assert_true(image_symbol_find(module->image, rows[i].name, &symbol));
		assert_true(image_symbol_find(module->image, rows[i].followed, &followed));
		code_follow(f->tracee.arch, module, &symbol);
		assert_int_equal(symbol.value, followed.value);
		assert_int_equal(symbol.size, followed.size);
	}
}
#endif

/* In the log alone: the bytes that are there stay. */
static bool is_between(struct fixture *f, taddr_t at)
{
	uint8_t bytes[8];

	undo_clear(f->undo);
	assert_int_equal(target_read(&f->tracee.target, at, bytes, sizeof(bytes)), 0);
	assert_int_equal(undo_patch(f->undo, &f->tracee.target, at, bytes, bytes, sizeof(bytes)), 0);
	return between_any(&f->tracee, f->undo);
}

/* A patch of two instructions (RISC-V's) around the pc of the one thread. */
static void between_two_instructions(void **state)
{
	struct fixture *f = *state;
	const struct arch *native = f->tracee.arch;
	struct arch_trap trap = *native->trap;
	struct arch arch = *native;
	struct thread *thread = tracee_find(&f->tracee, f->child.pid);
	taddr_t pc = regs_read(native, thread_regs(&f->tracee, thread), native->reg_pc);

	arch.trap = &trap;
	f->tracee.arch = &arch;
	trap.far_patch_len = 0;
	assert_false(is_between(f, pc - 4));
	trap.far_patch_len = 8;
	assert_true(is_between(f, pc - 4));
	assert_false(is_between(f, pc));
	assert_false(is_between(f, pc - 8));
	undo_clear(f->undo);
	f->tracee.arch = native;
}

/* Where the padding of three modules is little, in a page that is mapped for them. */
static bool has_page(const struct fixture *f)
{
	for (size_t i = 0; i < f->hooks.areas.len; i++)
		if (f->hooks.areas.at[i].host == HOST_PAGE)
			return true;
	return false;
}

static void what_a_predecessor_left(void **state)
{
	struct fixture *f = *state;
	struct stub_area old[8];
	size_t count, areas;

#ifdef __SANITIZE_ADDRESS__
	skip(); /* its library has too little padding for the stubs of three lives */
#endif

	for (int life = 0; life < 3; life++) {
		plan(f, HOOK_ALL);
		assert_string_equal(f->warnings, "");
		if (life && has_page(f)) /* (RISC-V; what becomes of pages is in tests/cross/test_room.py) */
			skip();
		count = f->hooks.list.len;
		areas = f->hooks.areas.len;
		assert_true(areas >= 1 && areas <= 8);
		for (size_t i = 0; life && i < areas; i++) {
			const struct hook_area *area = &f->hooks.areas.at[i];

			/* Not over stubs that threads may be in. */
			for (size_t k = 0; k < areas; k++)
				assert_true(area->area.base + area->area.len <= old[k].base ||
					    old[k].base + old[k].len <= area->area.base);
		}
		for (size_t i = 0; i < areas; i++)
			old[i] = f->hooks.areas.at[i].area;
		apply(f);
		assert_int_equal(f->hooks.list.len, count);
		hooks_clear(&f->hooks);
		undo_clear(f->undo);
	}
	/* The one that follows puts all back, its predecessors' too. */
	plan(f, HOOK_ALL);
	apply(f);
	assert_string_equal(f->warnings, "");
	put_back(f);
}

/* A function of this program whose name says nothing: it is known by external data alone.  It
 * begins the text's last page, so that there is room behind it, whatever else is linked. */
__attribute__((noinline, used, aligned(4096), section(".text_end"))) static unsigned
nameless(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		__asm__ volatile("" : "+r"(n));
	return n * 3 + 1;
}

/* A predecessor has hooked it, and was killed with its guardian. */
static void hook_nameless(struct fixture *f)
{
	static char name[] = "calloc";
	struct module *module = module_of_program(f);
	taddr_t address = (taddr_t)(uintptr_t)nameless, state = arch_native()->state_mask;
	struct external external = {.id = module->id};
	struct external_symbol symbol = {name, (address & ~state) - module->bias, 0,
					 (address & state) != 0};
	bool found = false;

	assert_true(vec_push(&external.symbols, symbol));
	assert_true(vec_push(&f->externals, &external));
	plan(f, HOOK_ALL);
	for (size_t i = 0; i < f->hooks.list.len; i++)
		found |= f->hooks.list.at[i].address == (address & ~state);
	assert_true(found);
	apply(f);
	hooks_clear(&f->hooks);
	undo_clear(f->undo);
	vec_deinit(&f->externals);
	vec_deinit(&external.symbols);
}

/* The one that follows has never heard of it. */
static void what_nobody_can_name(void **state)
{
	bool left;
	struct fixture *f = *state;

	hook_nameless(f);
	predecessor_wipe(&f->hooks.process, &left);
	assert_untouched(f);
}

/* The first instructions of the stub that the nameless function jumps to; false: it does not
 * jump. */
static bool stub_read(struct fixture *f, uint8_t ret[16])
{
	const struct arch *arch = f->tracee.arch;
	taddr_t address = (taddr_t)(uintptr_t)nameless, target = 0;
	uint8_t code[32];

	assert_int_equal(
		target_read(&f->tracee.target, address & ~arch->state_mask, code, sizeof(code)),
		0);
	for (size_t at = 0; at < 16 && !target; at += arch->trap->is_breakpoint ? 1 : 4)
		target = arch->trap->patch_target(code + at, address + at);
	return target && target_read(&f->tracee.target, target, ret, 16) == 0;
}

/* Nor can it read the file: nothing may be taken from under the patch, until one can. */
/* A jump into the predecessor's stubs that lies across the end of the first 64 KB, by which
 * code is read. */
static void a_patch_across_two_pieces(void **state)
{
	bool left;
	struct fixture *f = *state;
	const struct arch *arch = arch_native();
	taddr_t nameless_at = (taddr_t)(uintptr_t)nameless, entry = 0, at = 0;
	struct module *module = module_of_program(f);
	const struct image_segment *segments;
	uint8_t code[16], jump[5] = {0xe9};
	uint32_t distance;
	size_t count;

	if (strcmp(arch->name, "x86_64"))
		return; /* elsewhere code is aligned, and none lies across */
	hook_nameless(f);
	assert_int_equal(target_read(&f->tracee.target, nameless_at, code, sizeof(code)), 0);
	for (size_t i = 0; i + arch->trap->patch_len <= sizeof(code) && !entry; i++)
		entry = arch->trap->patch_target(code + i, nameless_at + i);
	assert_true(entry != 0);
	segments = image_segments(module->image, &count);
	for (size_t i = 0; i < count; i++)
		if (segments[i].flags & PF_X && segments[i].file_size > 65536 + 16)
			at = module->bias + segments[i].vaddr + 65536 - 2;
	assert_true(at != 0);
	distance = (uint32_t)(entry - at - sizeof(jump));
	memcpy(jump + 1, &distance, sizeof(distance));
	assert_int_equal(target_write(&f->tracee.target, at, jump, sizeof(jump)), 0);
	predecessor_wipe(&f->hooks.process, &left);
	assert_untouched(f);
}

static void what_nobody_can_put_back(void **state)
{
	bool left;
	struct fixture *f = *state;
	struct module *module = module_of_program(f);
	uint8_t before[16], after[16];

	hook_nameless(f);
	assert_true(stub_read(f, before));
	module->file->open = false;
	predecessor_wipe(&f->hooks.process, &left);
	module->file->open = true;
	assert_true(stub_read(f, after));
	assert_memory_equal(before, after, sizeof(before));
	predecessor_wipe(&f->hooks.process, &left);
	assert_false(stub_read(f, after));
	assert_untouched(f);
}

/* Bytes by which a part of the free space looks like a predecessor's stubs. */
static void occupy(struct fixture *f, taddr_t begin, uint32_t len)
{
	const struct arch *arch = f->tracee.arch;
	uint8_t head[16] = {0};

	memcpy(head, arch->trap->magic, arch->trap->magic_len);
	memcpy(head + arch->trap->magic_len, &len, sizeof(len));
	assert_int_equal(target_write(&f->tracee.target, begin, head, sizeof(head)), 0);
}

static struct space padding_around(struct fixture *f, taddr_t address)
{
	const struct module *module = modules_find(&f->modules, address);
	struct space space;

	assert_non_null(module);
	assert_true(padding_of(module, &f->maps, &space));
	return space;
}

/* Of what is free between leftovers the largest part is used. */
static void the_largest_free_room(void **state)
{
	struct fixture *f = *state;
	struct space space = padding_around(f, libc_address("malloc"));
	uint32_t middle = space.len / 4 & ~15u, end = (space.len & ~15u) - 32;
	taddr_t base = space.base;

	plan(f, HOOK_ALL);
	if (space.len < 3 * area_of(f, "malloc")->area.len)
		skip(); /* Debian 11's libc has 212 bytes */
	hooks_clear(&f->hooks);
	occupy(f, base + end, 32);
	plan(f, HOOK_ALL);
	assert_true(area_of(f, "malloc")->area.base == base);
	hooks_clear(&f->hooks);
	occupy(f, base, 20); /* in front, too, and not a multiple of 16 */
	plan(f, HOOK_ALL);
	assert_true(area_of(f, "malloc")->area.base == base + 32);
	hooks_clear(&f->hooks);
	occupy(f, base + middle, 16);
	plan(f, HOOK_ALL);
	assert_true(area_of(f, "malloc")->area.base == base + middle + 16);
	assert_int_equal(area_of(f, "malloc")->area.room, end - middle - 16);
	assert_string_equal(f->warnings, "");
	apply(f);
	put_back(f);
}

/* libc's own padding and the program's are in use: its stubs go beside the loader's. */
static void beside_an_area_of_ours(struct fixture *f, bool applied)
{
	struct space libc = padding_around(f, libc_address("malloc"));
	struct space program = padding_around(f, (taddr_t)(uintptr_t)beside_an_area_of_ours);
	const struct hook_area *first, *second;

	plan(f, HOOK_LOADER);
	assert_int_equal(f->hooks.areas.len, 1);
	if (applied)
		apply(f);
	occupy(f, libc.base, libc.len);
	occupy(f, program.base, program.len);
	plan(f, HOOK_ALL);
	first = &f->hooks.areas.at[0];
	second = area_of(f, "malloc");
	assert_string_equal(f->warnings, "");
	if (has_page(f)) /* the loader has too little, either */
		skip();
	assert_int_equal(first->host, f->hooks.loader);
	assert_int_equal(second->host, f->hooks.loader);
	assert_true(second->area.base == ((first->area.base + first->area.len + 15) & ~15ull));
	areas_are_apart(f);
	apply(f);
	put_back(f);
}

static void beside_a_planned_area(void **state)
{
	beside_an_area_of_ours(*state, false);
}

static void beside_an_area_in_use(void **state)
{
	beside_an_area_of_ours(*state, true);
}

static void modules_that_are_gone(void **state)
{
	struct fixture *f = *state;
	struct module *libc = modules_find(&f->modules, libc_address("malloc"));
	size_t patches, left = 0;
	taddr_t trap = 0;

	plan(f, HOOK_ALL);
	apply(f);
	for (size_t i = 0; i < f->hooks.areas.len; i++)
		if (f->hooks.areas.at[i].host == libc->instance)
			trap = f->hooks.areas.at[i].area.trap.pc;
	if (!trap)
		skip(); /* its stubs had to go elsewhere */
	patches = f->undo->patch_count;
	libc->mapped = false;
	hooks_forget_unmapped(&f->hooks);
	assert_null(find(f, "malloc"));
	assert_true(has_loader_hook(f));
	assert_int_equal(traps_signal_at(&f->traps, trap), 0);
	assert_null(hooks_area_at(&f->hooks, trap));
	assert_false(undo_covers(f->undo, trap));
	for (size_t i = 0; i < f->undo->patch_count; i++)
		left += f->undo->patch[i].active;
	assert_int_equal(left, f->hooks.list.len);
	assert_true(left < patches);
	/* It is mapped again: everything is found again. */
	libc->mapped = true;
	plan(f, HOOK_ALL);
	assert_non_null(find(f, "malloc"));
}

/* The traps' signal, and the traps' kind, can be changed while all are stopped. */
static void another_signal(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	uint8_t bytes[UNDO_AREA_BYTES];
	const struct stub_area *area;

	plan(f, HOOK_ALL);
	apply(f);
	area = &f->hooks.areas.at[0].area;
	assert_int_equal(traps_change_signal(&f->traps, SIGWINCH, &err), 0);
	assert_int_equal(traps_signal_at(&f->traps, area->trap.pc), SIGWINCH);
	assert_int_equal(target_read(&f->tracee.target, area->base, bytes, area->len), 0);
	assert_memory_equal(bytes, area->bytes, area->len);
	if (f->tracee.arch->trap->use_break) {
		assert_int_equal(traps_use_break(&f->traps, &err), 0);
		assert_int_equal(traps_signal_at(&f->traps, area->trap.hard_pc), SIGTRAP);
		assert_int_equal(target_read(&f->tracee.target, area->base, bytes, area->len),
				 0);
		assert_memory_not_equal(bytes, area->bytes, area->len);
	} else {
		assert_int_equal(traps_use_break(&f->traps, &err), -ENOTSUP);
	}
	assert_int_equal(undo_run(f->undo, &f->tracee.target), 0);
	assert_int_equal(undo_wipe(f->undo, &f->tracee.target), 0);
	assert_untouched(f);
}

static void stands_at(struct fixture *f, taddr_t pc)
{
	struct thread *thread = tracee_find(&f->tracee, f->child.pid);
	struct regs *regs = thread_regs(&f->tracee, thread);

	regs_write(f->tracee.arch, regs, f->tracee.arch->reg_pc, pc);
}

/* A thread that has begun to send the old signal must have sent it: the trap is changed as a
 * whole, or not at all. */
static void a_signal_that_is_being_sent(void **state)
{
	struct fixture *f = *state;
	struct thread *thread = tracee_find(&f->tracee, f->child.pid);
	const struct arch *arch = f->tracee.arch;
	const struct stub_area *area;
	uint8_t bytes[UNDO_AREA_BYTES];
	struct err err = {0};
	taddr_t home;

	plan(f, HOOK_ALL);
	apply(f);
	area = &f->hooks.areas.at[0].area;
	home = regs_read(arch, thread_regs(&f->tracee, thread), arch->reg_pc);
	for (taddr_t pc = area->trap.begin + 1; pc < area->trap.pc; pc++) {
		stands_at(f, pc);
		assert_int_equal(traps_change_signal(&f->traps, SIGWINCH, &err), -EAGAIN);
	}
	assert_int_equal(f->traps.signo, SIGURG);
	assert_int_equal(target_read(&f->tracee.target, area->base, bytes, area->len), 0);
	assert_memory_equal(bytes, area->bytes, area->len);
	for (int sent = 0; sent < 2; sent++) { /* not begun yet, and sent */
		stands_at(f, sent ? area->trap.pc : area->trap.begin);
		assert_int_equal(traps_change_signal(&f->traps, SIGWINCH, &err), 0);
	}
	stands_at(f, home);
	assert_int_equal(undo_run(f->undo, &f->tracee.target), 0);
	assert_int_equal(undo_wipe(f->undo, &f->tracee.target), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_of_names),
		cmocka_unit_test_setup_teardown(what_is_planned, start, end),
		cmocka_unit_test_setup_teardown(planned_once, start, end),
		cmocka_unit_test_setup_teardown(what_applying_writes, start, end),
		cmocka_unit_test_setup_teardown(undone_without_a_trace, start, end),
		cmocka_unit_test_setup_teardown(a_function_that_was_changed, start, end),
		cmocka_unit_test_setup_teardown(a_breakpoint_on_a_function, start, end),
		cmocka_unit_test_setup_teardown(changed_since_it_was_planned, start, end),
		cmocka_unit_test_setup_teardown(another_hook_over_ours, start, end),
#ifdef __x86_64__
		cmocka_unit_test_setup_teardown(nothing_but_a_jump, start, end),
#endif
		cmocka_unit_test_setup_teardown(between_two_instructions, start, end),
		cmocka_unit_test_setup_teardown(what_a_predecessor_left, start, end),
		cmocka_unit_test_setup_teardown(what_nobody_can_name, start, end),
		cmocka_unit_test_setup_teardown(a_patch_across_two_pieces, start, end),
		cmocka_unit_test_setup_teardown(what_nobody_can_put_back, start, end),
		cmocka_unit_test_setup_teardown(the_largest_free_room, start, end),
		cmocka_unit_test_setup_teardown(beside_a_planned_area, start, end),
		cmocka_unit_test_setup_teardown(beside_an_area_in_use, start, end),
		cmocka_unit_test_setup_teardown(modules_that_are_gone, start, end),
		cmocka_unit_test_setup_teardown(another_signal, start, end),
		cmocka_unit_test_setup_teardown(a_signal_that_is_being_sent, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
