/* Modules of this very process: the loader's own list is the measure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "elf/module.h"

/* A library that no test program is linked with, and that has no state. */
#define LIBRARY "libanl.so.1"

#ifdef __aarch64__
#define IN_VDSO "__kernel_clock_gettime"
#else
#define IN_VDSO "__vdso_clock_gettime"
#endif

static struct memory_file self;
static unsigned forgotten;

static int setup(void **state)
{
	(void)state;
	memory_file_init(&self, open("/proc/self/mem", O_RDONLY));
	return self.fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	return close(self.fd);
}

static void forget(struct module *module)
{
	(void)module;
	forgotten++;
}

static bool update(struct modules *modules)
{
	struct maps maps;
	struct err err;
	bool changed;

	assert_int_equal(maps_read(getpid(), &maps, &err), 0);
	assert_int_equal(modules_update(modules, getpid(), &maps, &self.memory, &changed, &err),
			 0);
	maps_deinit(&maps);
	return changed;
}

/* Where an object of the loader's begins: its lowest segment, by page. */
static int check_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct modules *modules = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		struct module *module;

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		module = modules_find(modules, info->dlpi_addr + p->p_vaddr);
		assert_non_null(module);
		assert_int_equal(module->bias, info->dlpi_addr);
		assert_non_null(module->image);
		assert_true(module->mapped);
		assert_ptr_equal(modules_by_instance(modules, module->instance), module);
		assert_ptr_equal(
			modules_find(modules, info->dlpi_addr + p->p_vaddr + p->p_memsz - 1),
			module);
		*(size_t *)modules->list.at[0]->owner += 1;
		break;
	}
	return 0;
}

static void modules_are_the_loaders(void **state)
{
	struct modules modules;
	size_t count = 0;

	(void)state;
	modules_init(&modules, forget);
	forgotten = 0;
	assert_true(update(&modules));
	modules.list.at[0]->owner = &count;
	dl_iterate_phdr(check_object, &modules);
	assert_int_equal(count, modules.mapped.len);
	assert_false(update(&modules));
	assert_int_equal(count, modules.list.len);
	for (size_t i = 0; i < modules.list.len; i++)
		assert_int_equal(modules.list.at[i]->instance, i + 1);
	assert_null(modules_find(&modules, 0));
	assert_null(modules_find(&modules, UINT64_MAX));
	assert_null(modules_find(&modules, (uintptr_t)&modules));
	assert_null(modules_by_instance(&modules, 0));
	assert_null(modules_by_instance(&modules, (uint32_t)count + 1));
	modules_deinit(&modules);
	assert_int_equal(forgotten, count);
}

static void the_vdso_is_a_module_read_from_memory(void **state)
{
	struct modules modules;
	struct module *vdso;
	struct image_symbol symbol;

	(void)state;
	modules_init(&modules, NULL);
	update(&modules);
	vdso = modules_find(&modules, getauxval(AT_SYSINFO_EHDR));
	assert_non_null(vdso);
	assert_true(vdso->vdso);
	assert_string_equal(vdso->id.path, "[vdso]");
	assert_int_equal(vdso->bias, getauxval(AT_SYSINFO_EHDR));
	assert_true(image_symbol_find(vdso->image, IN_VDSO, &symbol));
#ifdef __x86_64__ /* others have none in some versions of the kernel */
	assert_non_null(image_eh_frame(vdso->image)->bytes);
#endif
	modules_deinit(&modules);
}

static struct module *module_of(struct modules *modules, void *handle)
{
	const struct link_map *map;

	assert_int_equal(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
	return modules_find(modules, (uintptr_t)map->l_ld);
}

static void a_library_that_goes_keeps_its_number(void **state)
{
	struct modules modules;
	struct module *module;
	void *handle;
	size_t count;
	taddr_t bias;

	(void)state;
	modules_init(&modules, NULL);
	update(&modules);
	count = modules.list.len;
	handle = dlopen(LIBRARY, RTLD_NOW);
	assert_non_null(handle);
	assert_true(update(&modules));
	module = module_of(&modules, handle);
	assert_int_equal(module->instance, count + 1);
	bias = module->bias;
	dlclose(handle);
	assert_true(update(&modules));
	assert_false(module->mapped);
	assert_null(modules_find(&modules, bias + 0x1000));
	assert_int_equal(modules.mapped.len, count);
	assert_ptr_equal(modules_by_instance(&modules, (uint32_t)count + 1), module);
	assert_false(update(&modules));
	/* Back again: the old number at the old place, a new one elsewhere. */
	handle = dlopen(LIBRARY, RTLD_NOW);
	assert_true(update(&modules));
	if (module_of(&modules, handle)->bias == bias)
		assert_ptr_equal(module_of(&modules, handle), module);
	else
		assert_int_equal(module_of(&modules, handle)->instance, count + 2);
	dlclose(handle);
	modules_deinit(&modules);
}

static void two_loads_of_a_file_are_two_modules(void **state)
{
	struct modules modules;
	struct module *a, *b;
	void *first = dlopen(LIBRARY, RTLD_NOW),
	     *second = dlmopen(LM_ID_NEWLM, LIBRARY, RTLD_NOW);

	(void)state;
	if (!second) {
		dlclose(first);
		skip(); /* a sanitizer's runtime can't be loaded twice */
	}
	modules_init(&modules, NULL);
	update(&modules);
	a = module_of(&modules, first);
	b = module_of(&modules, second);
	assert_ptr_not_equal(a, b);
	assert_string_equal(a->id.path, b->id.path);
	assert_true(a->bias != b->bias);
	modules_deinit(&modules);
	dlclose(second);
	dlclose(first);
}

static void a_file_mapped_as_data_is_no_module(void **state)
{
	struct modules modules;
	void *handle = dlopen(LIBRARY, RTLD_NOW), *data;
	const struct link_map *map;
	size_t count;
	int fd;

	(void)state;
	dlinfo(handle, RTLD_DI_LINKMAP, &map);
	modules_init(&modules, NULL);
	update(&modules);
	count = modules.list.len;
	fd = open(map->l_name, O_RDONLY);
	data = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(data, MAP_FAILED);
	assert_false(update(&modules));
	assert_int_equal(modules.list.len, count);
	/* (Or of the loader, between whose segments the kernel leaves room: AArch64.) */
	assert_ptr_not_equal(modules_find(&modules, (uintptr_t)data),
			     module_of(&modules, handle));
	munmap(data, 4096);
	close(fd);
	dlclose(handle);
	modules_deinit(&modules);
}

/* (armel's library, which is empty today, has none; MIPS' neither.) */
static bool has_unwind_data(struct image *image)
{
	return image_eh_frame(image)->bytes || image_machine(image) == EM_ARM ||
	       image_machine(image) == EM_MIPS;
}

/* A copy of the library at path (a template of mkstemp's). */
static void copy_library(char *path)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW);
	const struct link_map *map;
	char command[512];

	assert_int_equal(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
	close(mkstemp(path));
	snprintf(command, sizeof(command), "cp %s %s && chmod 755 %s", map->l_name, path, path);
	assert_int_equal(system(command), 0);
	dlclose(handle);
}

static void a_deleted_file_is_still_read(void **state)
{
	char path[] = "/tmp/memtrace-test-XXXXXX";
	struct modules modules;
	struct module *module;
	void *handle;

	(void)state;
	copy_library(path);
	handle = dlopen(path, RTLD_NOW);
	assert_non_null(handle);
	unlink(path);
	modules_init(&modules, NULL);
	update(&modules);
	module = module_of(&modules, handle);
	assert_non_null(module);
	assert_true(module->deleted);
	assert_string_equal(module->id.path, path);
	assert_non_null(module->image);
	assert_int_equal(module->id.build_id_len, 20);
	assert_true(has_unwind_data(module->image));
	dlclose(handle);
	modules_deinit(&modules);
}

/* Without the right to /proc/PID/map_files: a file by its path, a deleted one from
 * memory.  Runs in a child that gave up its privileges; 0 is success. */
static int read_without_privileges(const char *deleted)
{
	struct modules modules;
	struct module *module;
	struct image_symbol symbol;
	struct maps maps;
	struct err err;
	void *handle = dlopen(deleted, RTLD_NOW);

	memory_file_init(&self, open("/proc/self/mem", O_RDONLY)); /* the child's own */
	unlink(deleted);
	if (!handle || setresuid(65534, 65534, 65534) || prctl(PR_SET_DUMPABLE, 1))
		return 1;
	modules_init(&modules, NULL);
	if (maps_read(getpid(), &maps, &err) ||
	    modules_update(&modules, getpid(), &maps, &self.memory, NULL, &err))
		return 2;
	maps_deinit(&maps);
	module = modules_find(&modules, (uintptr_t)setresuid);
	if (!module || !module->image || !module->file || module->why[0] || module->deleted)
		return 3;
	module = module_of(&modules, handle);
	if (!module || !module->image || module->file || !module->deleted ||
	    module->id.build_id_len != 20)
		return 4;
	/* What was read of it outlives the mapping. */
	dlclose(handle);
	if (!has_unwind_data(module->image) || image_symbol_at(module->image, 0, &symbol))
		return 5;
	modules_deinit(&modules);
	return 0;
}

static void files_are_read_without_privileges(void **state)
{
	char path[] = "/tmp/memtrace-test-XXXXXX";
	int status;
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		skip(); /* then the other tests did it */
	copy_library(path);
	child = fork();
	if (child == 0)
		_exit(read_without_privileges(path));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modules_are_the_loaders),
		cmocka_unit_test(the_vdso_is_a_module_read_from_memory),
		cmocka_unit_test(a_library_that_goes_keeps_its_number),
		cmocka_unit_test(two_loads_of_a_file_are_two_modules),
		cmocka_unit_test(a_file_mapped_as_data_is_no_module),
		cmocka_unit_test(a_deleted_file_is_still_read),
		cmocka_unit_test(files_are_read_without_privileges),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
