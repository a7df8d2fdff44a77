/*
 * Files that are read by a process apart: what comes, where they end, and what becomes of one
 * that does not answer; and which file systems that is for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "elf/file.h"

enum { SIZE = 200000 };

static char path[] = "/tmp/test_apart.XXXXXX";

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + i / 256);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	for (size_t i = 0; i < SIZE; i++) {
		uint8_t byte = pattern(i);
		if (write(fd, &byte, 1) != 1)
			return -1;
	}
	return close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void assert_reads(struct memory *memory)
{
	static uint8_t buf[SIZE];
	static const size_t at[][2] = {{0, SIZE},    {0, 1},	    {4090, 20}, {8192, 4096},
				       {100, 70000}, {SIZE - 1, 1}, {5, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		memset(buf, 0xa5, sizeof(buf));
		assert_int_equal(memory_read(memory, at[i][0], buf, at[i][1]), 0);
		for (size_t k = 0; k < at[i][1]; k++)
			assert_int_equal(buf[k], pattern(at[i][0] + k));
	}
	assert_int_equal(memory_read(memory, SIZE - 1, buf, 2), -EIO);
	assert_int_equal(memory_read(memory, SIZE, buf, 1), -EIO);
	assert_int_equal(memory_read(memory, SIZE + 100000, buf, 1), -EIO);
}

static void mounts_of(const char *text, struct mounts *ret)
{
	mounts_parse(strdup(text), ret);
}

static int open_it(struct files *files, const struct mounts *mounts, const char *by,
		   struct file **ret)
{
	const struct file_name name = {getpid(), 0, by, by, false};

	return file_open(files, mounts, &name, ret);
}

static unsigned descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* More files than may have a descriptor: all can be read, but what has changed meanwhile. */
static void many(void **state)
{
	enum { MANY = 3 * FILES_NEAR };
	char names[MANY][40];
	struct file *file[MANY];
	struct files files = {0};
	struct mounts mounts;
	unsigned before = descriptors();
	uint8_t byte;

	(void)state;
	mounts_of("1 0 8:1 / / rw - ext4 /dev/x rw\n", &mounts);
	for (int i = 0; i < MANY; i++) {
		int fd;

		snprintf(names[i], sizeof(names[i]), "/tmp/test_apart.XXXXXX");
		fd = mkstemp(names[i]);
		byte = (uint8_t)i;
		assert_int_equal(write(fd, &byte, 1), 1);
		close(fd);
		assert_int_equal(open_it(&files, &mounts, names[i], &file[i]), 0);
	}
	assert_int_equal(descriptors(), before + FILES_NEAR);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(memory_read(&file[i]->memory, 0, &byte, 1), 0);
		assert_int_equal(byte, i);
		assert_true(file_is_same(file[i]));
	}
	assert_int_equal(descriptors(), before + FILES_NEAR);
	assert_int_equal(truncate(names[0], 2), 0);
	assert_int_equal(memory_read(&file[0]->memory, 0, &byte, 1), -ESTALE);
	assert_false(file_is_same(file[0]));
	assert_int_equal(truncate(names[MANY - 1], 2), 0); /* that one is open */
	assert_int_equal(memory_read(&file[MANY - 1]->memory, 0, &byte, 1), 0);
	for (int i = 0; i < MANY; i++) {
		file_shut(file[i]);
		assert_int_equal(memory_read(&file[i]->memory, 0, &byte, 1), -EBADF);
		file_destroy(file[i]);
		unlink(names[i]);
	}
	assert_int_equal(descriptors(), before);
	files_deinit(&files);
	mounts_deinit(&mounts);
}

static void both_ways(void **state)
{
	static const char *const mounts_text[] = {"1 0 8:1 / / rw - ext4 /dev/x rw\n",
						  "1 0 8:1 / / rw - nfs4 server:/ rw\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mounts_text); i++) {
		struct files files = {0};
		struct mounts mounts;
		struct file *file, *none;

		mounts_of(mounts_text[i], &mounts);
		assert_int_equal(open_it(&files, &mounts, path, &file), 0);
		assert_int_equal(file->is_distant, i);
		assert_int_equal(file->stat.st_size, SIZE);
		assert_reads(&file->memory);
		assert_int_equal(open_it(&files, &mounts, "/nowhere/at/all", &none), -ENOENT);
		assert_int_equal(open_it(&files, &mounts, "/dev/null", &none),
				 -EINVAL);
		file_shut(file);
		assert_true(memory_read(&file->memory, 0, &(uint8_t){0}, 1) < 0);
		file_destroy(file);
		mounts_deinit(&mounts);
		files_deinit(&files);
	}
}

/* Instead of the process apart, one that says nothing.  Returns its end. */
static int silence(struct apart *apart)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_true(dup2(ends[0], apart->fd) >= 0);
	close(ends[0]);
	return ends[1];
}

static void assert_given_up(unsigned limit_ms, const atomic_bool *hurry)
{
	struct apart apart;
	struct stat st;
	uint8_t byte;
	int handle, end;

	apart_init(&apart, 3600000, NULL); /* (who answers has all the time) */
	handle = apart_open(&apart, path, 0, &st);
	assert_true(handle >= 0);
	assert_int_equal(apart_read(&apart, handle, 7, &byte, 1), 1);
	assert_int_equal(byte, pattern(7));
	end = silence(&apart);
	apart.limit_ms = limit_ms;
	apart.hurry = hurry;
	assert_int_equal(apart_read(&apart, handle, 7, &byte, 1), -ETIMEDOUT);
	assert_int_equal(apart_open(&apart, path, 0, &st), -ETIMEDOUT); /* it is not asked again */
	apart_close(&apart, handle);
	apart_deinit(&apart);
	close(end);
}

static void no_answer(void **state)
{
	(void)state;
	assert_given_up(100, NULL);
}

static void no_answer_in_a_hurry(void **state)
{
	static const atomic_bool hurry = true;

	(void)state;
	assert_given_up(3600000, &hurry);
}

static void which_are_local(void **state)
{
	struct mounts mounts;

	(void)state;
	mounts_of("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
		  "23 22 0:5 / /proc rw shared:2 master:3 - proc proc rw\n"
		  "30 22 0:40 / /mnt/a\\040b rw - fuse.sshfs host:/ rw\n"
		  "31 30 8:2 / /mnt/a\\040b/disk rw - xfs /dev/sdb rw\n"
		  "32 22 0:41 /sub /net rw - nfs4 server:/ rw\n"
		  "33 22 0:42 / /net2 rw - tmpfs tmpfs rw\n",
		  &mounts);
	assert_true(mounts.known);
	assert_int_equal(mounts.list.len, 6);
	assert_true(mounts_are_local(&mounts, makedev(8, 1), "/usr/lib/libc.so.6"));
	assert_false(mounts_are_local(&mounts, makedev(0, 40), "/mnt/a b/lib.so"));
	assert_false(mounts_are_local(&mounts, makedev(0, 41), "/net/lib.so"));
	/* its own is local, but the way there is not; or something else was mounted over it */
	assert_false(mounts_are_local(&mounts, makedev(8, 2), "/mnt/a b/disk/lib.so"));
	assert_false(mounts_are_local(&mounts, makedev(8, 1), "/net/lib.so"));
	/* by its path, where the device is not known; a name is not its beginning */
	assert_true(mounts_are_local(&mounts, 0, "/net2/lib.so"));
	assert_true(mounts_are_local(&mounts, makedev(9, 9), "/netting/lib.so"));
	assert_false(mounts_are_local(&mounts, 0, "/net"));
	assert_false(mounts_are_local(&mounts, 0, "lib.so"));
	mounts_deinit(&mounts);
	assert_false(mounts_are_local(&mounts, makedev(8, 1), "/usr/lib/libc.so.6"));
	mounts_read(getpid(), &mounts);
	assert_true(mounts.known && mounts.list.len);
	mounts_deinit(&mounts);
	mounts_read(4194304, &mounts); /* no such */
	assert_false(mounts.known);
	mounts_deinit(&mounts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(many),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(no_answer_in_a_hurry),
		cmocka_unit_test(which_are_local),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
