/* Staging directories: nothing outside them is opened, and what is found is the same build. */
#include "serve/file_index.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "elf/fingerprint.h"
#include "serve/file_index_parts.h"
#include "serve/root.h"
#include "serve/module_cache.h"

static const struct search_dirs here = {.local = true};
static char dir[] = "/tmp/test_file_index.XXXXXX";

static void path_of(const char *name, char ret[256])
{
	snprintf(ret, 256, "%s/%s", dir, name);
}

static void make_dir(const char *name)
{
	char path[256];

	path_of(name, path);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_link(const char *target, const char *name)
{
	char path[256];

	path_of(name, path);
	assert_int_equal(symlink(target, path), 0);
}

static void make_file(const char *name, const void *bytes, size_t len)
{
	char path[256];
	int fd;

	path_of(name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

/* This program: an ELF file with a build-id and .symtab. */
static uint8_t *own_bytes(size_t *len)
{
	struct stat st;
	int fd = open("/proc/self/exe", O_RDONLY);
	uint8_t *bytes;

	assert_int_equal(fstat(fd, &st), 0);
	*len = (size_t)st.st_size;
	bytes = malloc(*len);
	assert_int_equal(read(fd, bytes, *len), st.st_size);
	close(fd);
	return bytes;
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	make_dir("in");
	make_dir("in/usr");
	make_dir("in/usr/lib");
	make_dir("in/usr/bin");
	make_dir("out");
	make_file("out/secret", "secret", 6);
	make_file("in/usr/lib/a", "a", 1);
	make_link("usr/lib", "in/lib");
	make_link("/usr/lib/a", "in/absolute");
	make_link("../../../../../../../../usr/lib/a", "in/usr/up");
	make_link("/usr/lib/a", "in/usr/bin/absolute");
	make_link("../lib/a/x", "in/usr/bin/through_file");
	make_link("/etc/passwd", "in/passwd");
	make_link("../out/secret", "in/secret");
	make_link("loop", "in/loop");
	return 0;
}

static int teardown(void **state)
{
	char command[300];
	(void)state;

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* Links lead nowhere out. */
static void test_root(void **state)
{
	static const struct {
		const char *path;
		bool found;
	} cases[] = {
		{"usr/lib/a", true},
		{"lib/a", true},
		{"absolute", true},
		{"usr/up", true},
		{"usr/bin/absolute", true},
		{"usr/bin/../bin/absolute", true},
		{"usr/bin/through_file", false},
		{"/lib/a", true},
		{"lib/../lib/./a", true},
		{"../in/lib/a", false},
		{"passwd", false},
		{"secret", false},
		{"../out/secret", false},
		{"loop", false},
		{"lib/b", false},
		{"../../../../usr/lib/a", true},
	};
	char path[256];
	int root;
	(void)state;

	path_of("in", path);
	root = open(path, O_PATH | O_DIRECTORY);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = root_open(root, cases[i].path, true);
		char byte = 0;
		assert_int_equal(fd >= 0, cases[i].found);
		if (fd < 0)
			continue;
		assert_int_equal(read(fd, &byte, 1), 1);
		assert_int_equal(byte, 'a');
		close(fd);
	}
	close(root);
}

/* Only regular files are opened, and for everybody only what everybody may read. */
static void test_root_public(void **state)
{
	static const struct {
		const char *path;
		int own, public; /* 0: opened; or the error */
	} cases[] = {
		{"open/file", 0, 0},
		{"open/hidden", 0, -EACCES},
		{"closed/file", 0, -EACCES},
		{"open/link", 0, -EACCES},
		{"closed/../open/file", 0, -EACCES},
		{"open/fifo", -ENOEXEC, -ENOEXEC},
		{"open", -ENOEXEC, -ENOEXEC},
	};
	char path[256];
	int root;
	(void)state;

	make_dir("modes");
	make_dir("modes/open");
	make_dir("modes/closed");
	make_file("modes/open/file", "a", 1);
	make_file("modes/open/hidden", "a", 1);
	make_file("modes/closed/file", "a", 1);
	make_link("/closed/file", "modes/open/link");
	path_of("modes/open/fifo", path);
	assert_int_equal(mkfifo(path, 0666), 0);
	path_of("modes/open/hidden", path);
	assert_int_equal(chmod(path, 0770), 0);
	path_of("modes/closed", path);
	assert_int_equal(chmod(path, 0774), 0);
	path_of("modes", path);
	root = open(path, O_PATH | O_DIRECTORY);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int public = 0; public < 2; public ++) {
			int fd = root_open(root, cases[i].path, public);
			assert_int_equal(fd < 0 ? fd : 0,
					 public ? cases[i].public : cases[i].own);
			if (fd >= 0)
				close(fd);
		}
	close(root);
}

/* A module's path is the target's word: joined to --debug-dir it stays below it. */
static void test_a_path_that_leads_up(void **state)
{
	static const char *const paths[] = {"/x/../../outside/prog", "/../outside/prog",
					    "/x/..", "/../outside/x/../prog"};
	char in[256];
	const char *dirs[] = {in, NULL};
	const struct search_dirs where = {.debug_dirs = dirs};
	struct elffile *own, *found;
	struct search_for who = {};
	struct err err;
	size_t len;
	uint8_t *bytes = own_bytes(&len);
	(void)state;

	path_of("debug", in);
	make_dir("debug");
	make_dir("debug/x");
	make_dir("outside");
	make_dir("outside/x");
	make_file("outside/prog", bytes, len);
	assert_int_equal(
		elffile_open(&here, (struct files_where){}, "/proc/self/exe", NULL, &own, NULL),
		0);
	module_id_set_build_id(&who.id, own->build_id, own->build_id_len);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		who.id.path = paths[i];
		assert_int_equal(search_debug(&where, &who, own, &found, &err), -ENOENT);
	}
	/* (it would be found) */
	path_of(".", in);
	who.id.path = "/outside/prog";
	assert_int_equal(search_debug(&where, &who, own, &found, &err), 0);
	elffile_close(found);
	elffile_close(own);
	free(bytes);
}

static struct file_index *indexed(const char *const *dirs)
{
	struct file_index *index;
	struct err err;
	struct pollfd pfd = {.events = POLLIN};
	char *silent;

	assert_int_equal(file_index_create(dirs, true, &index, &err), 0);
	while (!file_index_step(index, &silent)) {
		assert_null(silent);
		pfd.fd = file_index_fd(index);
		assert_int_equal(poll(&pfd, 1, 10000), 1);
	}
	return index;
}

static void find(struct file_index *index, const struct search_for *who, const char *found,
		 const char *said)
{
	struct elffile *main, *debug, *any;
	struct err why;

	const struct search_dirs dirs = {.index = index};
	file_index_find(&dirs, who, &main, &debug, &why);
	any = debug ? debug : main;
	assert_int_equal(any != NULL, found != NULL);
	if (found)
		assert_string_equal(any->path + strlen(any->path) - strlen(found), found);
	assert_int_equal(why.code, said ? -ESTALE : 0);
	if (said)
		assert_non_null(strstr(why.text, said));
	elffile_close(main);
	elffile_close(debug);
}

/* By build-id whatever it is called, by path and by name; never another build. */
static void test_build_id(void **state)
{
	char in[256];
	const char *dirs[] = {in, NULL};
	struct elffile *own;
	struct file_index *index;
	size_t len;
	uint8_t *bytes = own_bytes(&len);
	struct search_for who = {.id.path = "/usr/bin/prog"};
	(void)state;

	path_of("in", in);
	make_file("in/usr/bin/renamed", bytes, len);
	make_file("in/usr/bin/text", "\177ELF no", 8);
	assert_int_equal(
		elffile_open(&here, (struct files_where){}, "/proc/self/exe", NULL, &own, NULL),
		0);
	module_id_set_build_id(&who.id, own->build_id, own->build_id_len);
	assert_true(who.id.build_id_len);
	index = indexed(dirs);
	assert_int_equal(file_index_count(index), 1);
	find(index, &who, "in/usr/bin/renamed", NULL);

	who.id.build_id[1] ^= 1;
	find(index, &who, NULL, NULL);
	who.id.path = "/somewhere/bin/renamed";
	find(index, &who, NULL, "in/usr/bin/renamed: does not match: its build-id is");
	file_index_destroy(index);
	elffile_close(own);
	free(bytes);
}

/* A 64-bit big-endian library of nothing but a build-id: header, PT_LOAD, PT_NOTE. */
static void test_big_endian(void **state)
{
	static const uint8_t file[0x100] = {
		0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2MSB, 1,
		[17] = ET_DYN, [19] = EM_PPC64, [23] = 1, [39] = 64, [53] = 64, [55] = 56, [57] = 2,
		[64 + 3] = PT_LOAD, [64 + 7] = PF_R | PF_X, [64 + 38] = 1, [64 + 46] = 1, [64 + 54] = 16,
		[120 + 3] = PT_NOTE, [120 + 7] = PF_R, [120 + 15] = 0xc0, [120 + 23] = 0xc0,
		[120 + 39] = 24, [120 + 47] = 24, [120 + 55] = 4,
		[0xc3] = 4, [0xc7] = 8, [0xcb] = NT_GNU_BUILD_ID, 'G', 'N', 'U', 0,
		1, 2, 3, 4, 5, 6, 7, 8,
	};
	char big[256];
	const char *dirs[] = {big, NULL};
	struct file_index *index;
	struct search_for who = {.id.path = "/usr/bin/prog"};
	(void)state;

	make_dir("big");
	path_of("big", big);
	make_file("big/libbig.so", file, sizeof(file));
	module_id_set_build_id(&who.id, file + 0xd0, 8);
	index = indexed(dirs);
	assert_int_equal(file_index_count(index), 1);
	find(index, &who, "big/libbig.so", NULL);
	file_index_destroy(index);
}

static void drop_build_id(uint8_t *bytes, size_t len)
{
	static const uint8_t note[] = {4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0};
	uint8_t *at = memmem(bytes, len, note, sizeof(note));

	assert_non_null(at);
	at[12] = 'X'; /* another owner's note */
}

/* Without a build-id: by everything that stripping leaves alone. */
static void test_fingerprint(void **state)
{
	char in[256], path[256];
	const char *dirs[] = {in, NULL};
	struct fingerprint fingerprint;
	struct memory_buffer buffer;
	struct image *image;
	struct file_index *index;
	size_t len, count;
	uint8_t *bytes = own_bytes(&len), *code = NULL;
	const struct image_segment *s;
	struct search_for who = {.id.path = "/lib/libx.so"};
	(void)state;

	path_of("in", in);
	drop_build_id(bytes, len);
	memory_buffer_init(&buffer, 0, bytes, len);
	assert_int_equal(image_open(&buffer.memory, &image, NULL), 0);
	assert_int_equal(fingerprint_make(image, &fingerprint), 0);
	module_id_set_fingerprint(&who.id, fingerprint.bytes, sizeof(fingerprint.bytes));
	s = image_segments(image, &count);
	for (size_t i = 0; i < count; i++)
		if (s[i].flags & 1) /* PF_X: damage a byte of the code later */
			code = bytes + s[i].offset + s[i].file_size - 1;
	make_file("in/usr/lib/libx.so", bytes, len);
	make_file("in/usr/lib/other.so", bytes, len);
	index = indexed(dirs);
	find(index, &who, "in/lib/libx.so", NULL);
	file_index_destroy(index);
	/* of another name: by its segments */
	path_of("in/usr/lib/libx.so", path);
	unlink(path);
	index = indexed(dirs);
	find(index, &who, "in/usr/lib/other.so", NULL);
	file_index_destroy(index);
	path_of("in/usr/lib/other.so", path);
	unlink(path);

	assert_non_null(code);
	*code ^= 0x55;
	make_file("in/usr/lib/libx.so", bytes, len);
	index = indexed(dirs);
	find(index, &who, NULL, "in/lib/libx.so: does not match: other code");
	who.id.fingerprint[FINGERPRINT_SEGMENTS] ^= 1;
	find(index, &who, NULL, "libx.so: does not match: other program headers");
	file_index_destroy(index);
	image_close(image);
	free(bytes);
}

/* What a client calls a file opens it no second time; without descriptors nothing is kept. */
static void test_module_cache(void **state)
{
	char in[256], path[64];
	const char *dirs[] = {in, NULL};
	struct fingerprint fingerprint;
	struct debuginfo_options options = {};
	struct debuginfo *first, *info;
	struct memory_buffer buffer;
	struct module_cache cache = {};
	struct image *image;
	struct rlimit limit, none;
	size_t len;
	uint8_t *bytes = own_bytes(&len);
	struct search_for who = {.id.path = path};
	(void)state;

	path_of("in", in);
	drop_build_id(bytes, len);
	memory_buffer_init(&buffer, 0, bytes, len);
	assert_int_equal(image_open(&buffer.memory, &image, NULL), 0);
	assert_int_equal(fingerprint_make(image, &fingerprint), 0);
	module_id_set_fingerprint(&who.id, fingerprint.bytes, sizeof(fingerprint.bytes));
	image_close(image);
	make_file("in/usr/lib/libx.so", bytes, len);
	options.dirs.index = indexed(dirs);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){3, limit.rlim_max};
	snprintf(path, sizeof(path), "/d/nob");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(module_cache_take(&cache, &who, &options, &info, NULL), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(cache.places.len, 0);

	assert_int_equal(module_cache_take(&cache, &who, &options, &first, NULL), 0);
	assert_int_equal(debuginfo_names(first), WIRE_NAMES_LINES);
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "/d%d/nob", i);
		if (i % 2)
			module_id_set_debuglink(&who.id, path, 0);
		else
			who.id.debuglink[0] = '\0';
		assert_int_equal(module_cache_take(&cache, &who, &options, &info, NULL), 0);
		assert_ptr_equal(info, first);
	}
	assert_int_equal(cache.places.len, 1);
	assert_int_equal(cache.files, debuginfo_files(first));

	/* Those that are open are had without a descriptor; idle ones make room. */
	who.id.debuglink[0] = '\0';
	none.rlim_cur = 12;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(module_cache_take(&cache, &who, &options, &info, NULL), 0);
	assert_ptr_equal(info, first);
	who.id.fingerprint[FINGERPRINT_SEGMENTS] ^= 1;
	assert_int_equal(module_cache_take(&cache, &who, &options, &info, NULL), -EMFILE);
	assert_int_equal(cache.places.len, 1);
	for (int i = 0; i < 102; i++)
		module_cache_put(&cache, first);
	assert_int_equal(module_cache_take(&cache, &who, &options, &info, NULL), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(cache.files, 0);
	module_cache_deinit(&cache);
	file_index_destroy(options.dirs.index);
	free(bytes);
}

static void test_a_directory_that_is_none(void **state)
{
	const char *dirs[] = {"/nonexistent/directory", NULL};
	struct file_index *index;
	struct err err;
	(void)state;

	assert_int_equal(file_index_create(dirs, true, &index, &err), -ENOENT);
	assert_string_equal(err.text, "/nonexistent/directory: No such file or directory");
}

/* Stopped for longer than a silent file system is waited for, as one is that gets no CPU. */
static void test_slow_process(void **state)
{
	const char *dirs[] = {"/usr/lib", NULL};
	struct pollfd pfd = {.events = POLLIN};
	struct file_index *index;
	int64_t end = clock_ms() + INDEXER_LIMIT_MS + 300;
	struct err err;
	char *silent;

	(void)state;
	assert_int_equal(file_index_create(dirs, true, &index, &err), 0);
	assert_int_equal(kill(index->indexer.pid, SIGSTOP), 0);
	while (clock_ms() < end) {
		assert_false(file_index_step(index, &silent));
		assert_null(silent);
		pfd.fd = file_index_fd(index);
		poll(&pfd, 1, 100);
	}
	kill(index->indexer.pid, SIGCONT);
	while (!file_index_step(index, &silent)) {
		assert_null(silent);
		pfd.fd = file_index_fd(index);
		poll(&pfd, 1, 100);
	}
	assert_true(file_index_count(index) > 0);
	file_index_destroy(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_root_public),
		cmocka_unit_test(test_a_path_that_leads_up),
		cmocka_unit_test(test_build_id),
		cmocka_unit_test(test_big_endian),
		cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_module_cache),
		cmocka_unit_test(test_a_directory_that_is_none),
		cmocka_unit_test(test_slow_process),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
