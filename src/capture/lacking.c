/*
 * Two kinds of lack:
 *
 *    rows      a module much of whose code is covered by no unwind data: built without
 *              (its debug file has .debug_frame), or it has lost it
 *    symbols   a static program in which no malloc can be found: it was stripped
 *
 * Both are asked for whole, so that the first call stack is as good as the last.
 */
#include "capture/lacking.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/cpu.h"
#include "capture/capture.h"
#include "unwind/cfi.h"

enum {
	/* The handles of our own; below are the capture's instance numbers. */
	FIRST_HANDLE = 1 << 13,
	FOR_PROGRAM = 1 << 12, /* of these, those of a program that is not started yet */
	MAX_FUNCTIONS = 64,
	MAX_LIBRARIES = 1000,
};

/* What module->owner holds. */
struct lacking_module {
	struct resolver_module id;
	bool is_main;
	bool asked; /* whatever came of it */
	bool lacks_rows, lacks_symbols;
	bool has_lsan;	     /* the interface of <sanitizer/lsan_interface.h> */
	uint64_t state_mask; /* of its CPU: arch/cpu.h */
};

struct lacking {
	struct modules modules;
	struct modules program; /* what a program will map that is not started yet */
};

/* ---- looking ------------------------------------------------------------------------- */

static void forget(struct module *module)
{
	free(module->owner);
	module->owner = NULL;
}

int lacking_create(struct lacking **ret, struct err *err)
{
	struct lacking *lacking = calloc(1, sizeof(*lacking));

	if (!lacking)
		return err_set(err, -ENOMEM, "memory is short");
	modules_init(&lacking->modules, forget);
	modules_init(&lacking->program, forget);
	*ret = lacking;
	return 0;
}

void lacking_destroy(struct lacking *lacking)
{
	if (!lacking)
		return;
	modules_deinit(&lacking->modules);
	modules_deinit(&lacking->program);
	free(lacking);
}

static bool lacks_rows(struct module *module, const struct arch *arch)
{
	struct cfi *cfi;
	bool sparse;

	if (!arch)
		return false;
	if (cfi_open(module->image, arch, &cfi, NULL))
		return true;
	sparse = cfi_is_sparse(cfi);
	cfi_close(cfi);
	return sparse;
}

static bool lacks_symbols(struct module *module)
{
	struct image_symbol symbol;

	return !image_interpreter(module->image) && !image_soname(module->image) &&
	       !image_symbol_find(module->image, "malloc", &symbol);
}

/* Notes what the module lacks. */
static void look(struct module *module, uint32_t number, int pid, bool is_main)
{
	struct lacking_module *g = module->owner;
	struct image_symbol symbol;
	const struct arch *arch;

	if (g || !module->image || module->vdso)
		return;
	arch = arch_find(image_machine(module->image), image_class(module->image),
			 image_is_big_endian(module->image));
	g = calloc(1, sizeof(*g));
	if (!g)
		return;
	g->id = (struct resolver_module){
		.instance = FIRST_HANDLE + number,
		.id = module->id,
		.pid = pid,
	};
	g->is_main = is_main;
	g->state_mask = arch ? arch->state_mask : 0;
	g->lacks_rows = lacks_rows(module, arch);
	g->lacks_symbols = is_main && lacks_symbols(module);
	g->has_lsan = image_symbol_find(module->image, "__lsan_do_leak_check", &symbol);
	/* Its tables are read again by who needs them; all that is asked for is in g. */
	image_close(module->image);
	module->image = NULL;
	module->owner = g;
}

static void look_all(struct modules *modules, int pid)
{
	char link[64], exe[PATH_MAX] = "";
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	n = readlink(link, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < modules->mapped.len; i++) {
		struct module *module = modules->mapped.at[i];

		look(module, module->instance, pid, !pid || !strcmp(module->id.path, exe));
	}
}

void lacking_process(struct lacking *lacking, int pid)
{
	struct maps maps = {0};

	if (maps_read(pid, &maps, NULL))
		return;
	err_ignore(modules_update(&lacking->modules, pid, &maps, NULL, NULL, NULL));
	look_all(&lacking->modules, pid);
	maps_deinit(&maps);
}

/* What execvp() would start, as the target will see it. */
static bool find_program(const char *name, char ret[PATH_MAX])
{
	const char *dirs = strchr(name, '/') ? NULL : getenv("PATH");
	char path[PATH_MAX];

	if (!dirs)
		return realpath(name, ret) != NULL;
	while (*dirs) {
		size_t len = strcspn(dirs, ":");

		snprintf(path, sizeof(path), "%.*s/%s", (int)len, dirs, name);
		if (access(path, X_OK) == 0 && realpath(path, ret))
			return true;
		dirs += len + (dirs[len] == ':');
	}
	return false;
}

/* The mapping that the file's code will have, at a bias of 0. */
static bool fake_mapping(const char *path, struct mapping *ret)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const struct image_segment *s;
	struct memory_file file;
	struct image *image;
	struct stat st;
	size_t count;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*ret = (struct mapping){.path = path, .read = true, .exec = true};
	memory_file_init(&file, fd);
	if (fd < 0 || fstat(fd, &st) || image_open(&file.memory, &image, NULL)) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	s = image_segments(image, &count);
	for (size_t i = 0; i < count && !ret->end; i++) {
		if (!(s[i].flags & PF_X))
			continue;
		ret->begin = s[i].vaddr & ~(page - 1);
		ret->end = (s[i].vaddr + s[i].file_size + page - 1) & ~(page - 1);
		ret->offset = s[i].offset & ~(page - 1);
	}
	ret->dev = st.st_dev;
	ret->inode = st.st_ino;
	image_close(image);
	close(fd);
	return ret->end != 0;
}

/* What the program's interpreter would load, by its own word: "--list" makes it look the
 * libraries up and end, without running anything of theirs.  Lines with "=> PATH (". */
static FILE *list_libraries(const char *interpreter, const char *path, pid_t *pid)
{
	const char *argv[] = {interpreter, "--list", path, NULL};
	posix_spawn_file_actions_t files;
	FILE *out = NULL;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return NULL;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&files, ends[1], 1);
	posix_spawn_file_actions_adddup2(&files, 0, 2);
	if (!posix_spawn(pid, interpreter, &files, NULL, (char *const *)argv, environ))
		out = fdopen(ends[0], "r");
	posix_spawn_file_actions_destroy(&files);
	close(ends[1]);
	if (!out)
		close(ends[0]);
	return out;
}

VEC_TYPE(paths, char *);

static void find_libraries(const char *interpreter, const char *path, struct paths *ret)
{
	char line[2 * PATH_MAX], real[PATH_MAX];
	pid_t pid;
	FILE *list = list_libraries(interpreter, path, &pid);

	if (!list)
		return;
	while (fgets(line, sizeof(line), list) && ret->len < MAX_LIBRARIES) {
		char *at = strstr(line, "=> /"), *end = at ? strstr(at, " (") : NULL, *copy;

		if (!end)
			continue;
		*end = '\0';
		copy = realpath(at + 3, real) ? strdup(real) : NULL;
		if (copy && !vec_push(ret, copy))
			free(copy);
	}
	fclose(list);
	waitpid(pid, NULL, 0);
}

/* The interpreter that the file at path asks for; false: none. */
static bool find_interpreter(const char *path, char ret[PATH_MAX])
{
	struct memory_file file;
	struct image *image;
	const char *name = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	memory_file_init(&file, fd);
	if (fd >= 0 && image_open(&file.memory, &image, NULL) == 0) {
		name = image_interpreter(image);
		if (name && *name == '/')
			snprintf(ret, PATH_MAX, "%s", name);
		else
			name = NULL;
		image_close(image);
	}
	if (fd >= 0)
		close(fd);
	return name != NULL;
}

void lacking_program(struct lacking *lacking, const char *name)
{
	char interpreter[PATH_MAX];
	struct paths paths = {0};
	struct maps maps = {0};
	char *path = malloc(PATH_MAX);

	if (!path || !find_program(name, path) || !vec_push(&paths, path)) {
		free(path);
		return;
	}
	if (find_interpreter(path, interpreter))
		find_libraries(interpreter, path, &paths);
	for (size_t i = 0; i < paths.len; i++) {
		struct mapping mapping;
		if (fake_mapping(paths.at[i], &mapping))
			(void)vec_push(&maps.list, mapping);
	}
	err_ignore(modules_update(&lacking->program, getpid(), &maps, NULL, NULL, NULL));
	for (size_t i = 0; i < lacking->program.mapped.len; i++) {
		struct module *module = lacking->program.mapped.at[i];
		look(module, FOR_PROGRAM + module->instance, 0, !strcmp(module->id.path, path));
	}
	vec_deinit(&maps.list);
	for (size_t i = 0; i < paths.len; i++)
		free(paths.at[i]);
	vec_deinit(&paths);
}

const struct resolver_module *lacking_main(const struct lacking *lacking)
{
	const struct modules *modules =
		lacking->program.mapped.len ? &lacking->program : &lacking->modules;

	for (size_t i = 0; i < modules->mapped.len; i++) {
		const struct lacking_module *g = modules->mapped.at[i]->owner;
		if (g && g->is_main)
			return &g->id;
	}
	return NULL;
}

static bool modules_have_lsan(const struct modules *modules)
{
	for (size_t i = 0; i < modules->mapped.len; i++) {
		const struct lacking_module *g = modules->mapped.at[i]->owner;

		if (g && g->has_lsan)
			return true;
	}
	return false;
}

bool lacking_has_lsan(const struct lacking *lacking)
{
	return modules_have_lsan(&lacking->program) || modules_have_lsan(&lacking->modules);
}

/* A library of codecs in assembler is no reason: few stacks go through it. */
static bool modules_lack(const struct modules *modules)
{
	size_t lacking = 0, count = modules->mapped.len;

	for (size_t i = 0; i < count; i++) {
		const struct lacking_module *g = modules->mapped.at[i]->owner;
		if (g && g->is_main && (g->lacks_rows || g->lacks_symbols))
			return true;
		lacking += g && g->lacks_rows;
	}
	return lacking > count / 2;
}

bool lacking_is_much(const struct lacking *lacking)
{
	return modules_lack(&lacking->program) || modules_lack(&lacking->modules);
}

/* ---- asking ---------------------------------------------------------------------------- */

struct asking {
	struct resolver *resolver;
	const char *wanted;
	VEC(struct external *) externals;
	VEC(const struct resolver_module *) ids; /* whose they are */
};

static void take_row(void *arg, uint64_t vaddr, const struct row *row)
{
	row_table_add(arg, vaddr, row);
}

static struct external *external_create(const struct module *module)
{
	struct external *external = calloc(1, sizeof(*external));

	if (!external || !module_id_copy(&external->id, &module->id)) {
		external_destroy(external);
		return NULL;
	}
	return external;
}

static void take_rules(void *arg, const uint8_t *bytes, size_t len)
{
	struct cfi_bytes *rules = arg;

	if (!len || !vec_reserve(rules, rules->len + len))
		return;
	memcpy(rules->at + rules->len, bytes, len);
	rules->len += len;
}

static void ask_symbols(struct asking *a, const struct lacking_module *g,
			struct external *external)
{
	const char *names[MAX_FUNCTIONS];
	uint64_t values[MAX_FUNCTIONS] = {0}, sizes[MAX_FUNCTIONS] = {0};
	size_t count = 0;

	while (count < MAX_FUNCTIONS && (names[count] = capture_function(count)))
		count++;
	if (resolver_symbols(a->resolver, &g->id, names, count, values, sizes, NULL))
		return;
	for (size_t i = 0; i < count; i++) {
		struct external_symbol symbol = {names[i], values[i] & ~g->state_mask, sizes[i],
						 (values[i] & g->state_mask) != 0};
		if (values[i])
			(void)vec_push(&external->symbols, symbol);
	}
}

/* A row may say that all registers are needed.  Then the rules of all modules are: what one
 * needs another has saved. */
static void ask_rules(struct asking *a)
{
	bool full = false;

	for (size_t i = 0; i < a->externals.len; i++)
		full |= a->externals.at[i]->rows.full;
	for (size_t i = 0; i < a->externals.len && full; i++)
		if (a->externals.at[i]->rows.rows.len)
			err_ignore(resolver_want_rules(a->resolver, a->ids.at[i], take_rules,
						       &a->externals.at[i]->rules, NULL));
	if (full)
		err_ignore(resolver_wait(a->resolver, NULL, NULL, NULL));
}

static void ask_module(struct asking *a, struct module *module)
{
	struct lacking_module *g = module->owner;
	bool rows = g && (g->lacks_rows || (a->wanted && !strcmp(a->wanted, module->id.path)));
	struct external *external;

	if (!g || g->asked || (!rows && !g->lacks_symbols))
		return;
	external = external_create(module);
	if (!external || !vec_push(&a->ids, &g->id) || !vec_push(&a->externals, external)) {
		external_destroy(external);
		return;
	}
	g->asked = true;
	if (rows)
		err_ignore(resolver_want_unwind(a->resolver, &g->id, take_row, &external->rows,
						NULL));
	if (g->lacks_symbols)
		ask_symbols(a, g, external);
}

void lacking_ask(struct lacking *lacking, struct resolver *resolver, const char *wanted,
		 struct externals *ret)
{
	struct asking a = {.resolver = resolver, .wanted = wanted};

	for (size_t i = 0; i < lacking->program.mapped.len; i++)
		ask_module(&a, lacking->program.mapped.at[i]);
	for (size_t i = 0; i < lacking->modules.mapped.len; i++)
		ask_module(&a, lacking->modules.mapped.at[i]);
	if (a.externals.len)
		err_ignore(resolver_wait(resolver, NULL, NULL, NULL));
	ask_rules(&a);
	for (size_t i = 0; i < a.externals.len; i++) {
		struct external *external = a.externals.at[i];
		if ((!external->rows.rows.len && !external->symbols.len) ||
		    !vec_push(ret, external))
			external_destroy(external);
	}
	vec_deinit(&a.externals);
	vec_deinit(&a.ids);
}

void lacking_forget(struct lacking *lacking)
{
	struct modules *both[] = {&lacking->modules, &lacking->program};

	for (size_t i = 0; i < ARRAY_SIZE(both); i++)
		for (size_t k = 0; k < both[i]->list.len; k++) {
			struct lacking_module *g = both[i]->list.at[k]->owner;
			if (g)
				g->asked = false;
		}
}
