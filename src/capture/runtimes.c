/*
 * One table.  What keeps its memory by itself is seen by its large requests alone, and a person
 * wonders where the objects are; what generates code has frames without names until it is told to
 * write them down.
 */
#include "capture/runtimes.h"

#include <stdio.h>
#include <string.h>

#include "base/glob.h"

struct runtime {
	const char *modules[3]; /* names of files: patterns of glob_matches() */
	const char *variable;	/* "NAME=": in the environment, there is no heap of its own */
	const char *own_heap;	/* or NULL */
	const char *names;	/* or NULL */
};

static const struct runtime runtimes[] = {
	{{"libjvm.so"},
	 NULL,
	 NULL,
	 "java -XX:+PreserveFramePointer, and jcmd PID Compiler.perfmap (17 or later)"},
	{{"node", "nodejs", "libnode.so*"},
	 NULL,
	 NULL,
	 "node --perf-basic-prof --interpreted-frames-native-stack"},
	{{"libcoreclr.so"}, NULL, NULL, "DOTNET_PerfMapEnabled=1 in its environment"},
	{{"php*", "libphp*.so*"},
	 "USE_ZEND_ALLOC=",
	 "PHP takes small blocks from an allocator of its own: with USE_ZEND_ALLOC=0 in its "
	 "environment each of them is malloc's.",
	 "opcache.jit_debug=0x10 (php 8)"},
	{{"libpython3*.so*", "python3*"},
	 "PYTHONMALLOC=",
	 "Python takes blocks of up to 512 bytes from an allocator of its own: with "
	 "PYTHONMALLOC=malloc in its environment each of them is malloc's.",
	 "python3 -X perf (3.12 or later)"},
	{{"libruby*.so*", "ruby"},
	 NULL,
	 NULL,
	 "ruby --yjit --yjit-perf=map (3.3 or later)"},
	{{"libluajit*.so*", "luajit*"},
	 NULL,
	 "LuaJIT takes its memory from an allocator of its own: --mmap shows what that maps.",
	 "a LuaJIT built with -DLUAJIT_USE_GDBJIT, by which stacks lead on behind it, too"},
	{{"llvmjit.so"}, NULL, NULL, "jit_debugging_support=on of postgres"},
};

static bool is_of(const struct runtime *runtime, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(runtime->modules) && runtime->modules[i]; i++)
		if (glob_matches(runtime->modules[i], name))
			return true;
	return false;
}

const struct runtime *runtime_of(const struct modules *modules)
{
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++)
		for (size_t k = 0; k < modules->mapped.len; k++)
			if (is_of(&runtimes[i], module_id_name(&modules->mapped.at[k]->id)))
				return &runtimes[i];
	return NULL;
}

static bool has_variable(int pid, const char *variable)
{
	char path[64], *entry = NULL;
	bool found = false;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	file = fopen(path, "re");
	while (file && !found && getdelim(&entry, &size, '\0', file) > 0)
		found = !strncmp(entry, variable, strlen(variable));
	if (file)
		fclose(file);
	free(entry);
	return found;
}

const char *runtime_own_heap(const struct runtime *runtime, int pid)
{
	if (!runtime || (runtime->variable && has_variable(pid, runtime->variable)))
		return NULL;
	return runtime->own_heap;
}

const char *runtime_names(const struct runtime *runtime)
{
	return runtime ? runtime->names : NULL;
}
