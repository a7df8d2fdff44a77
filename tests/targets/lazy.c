/*
 * lazy [-a] [-s] [-p]: a thread's stack is memory that another thread of the program brings page by
 * page (userfaultfd(2)), as a restored or migrated program has it.  At READY the thread waits
 * far down that stack, and of the frames above it no page is there.
 *
 *   -a   it wakes by itself, again and again, and allocates at the bottom, the frames above it
 *        taken away each time
 *   -s   the page server allocates as well, before it brings a page
 *   -p   there is no server: the frames are in swap
 *
 * Exit status 77: the kernel has no userfaultfd, or not for us; or nothing goes to swap.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "target.h"

enum { PAGE = 4096, STACK = 64 * PAGE, FRAMES = 20, FRAME = 6000, ROUNDS = 200 };

static uint8_t *stack, saved[STACK];
static size_t first_gone, last_gone; /* pages of the stack */
static int faults, server_fd;
static bool awake, serving, paged;
static int wake[2], asleep[2];

static void serve(uint8_t *page)
{
	struct uffdio_copy copy = {.dst = (uintptr_t)page,
				   .src = (uintptr_t)(saved + (page - stack)),
				   .len = PAGE};

	if (serving) {
		void *block = got(malloc(24), 24);
		drop(block, 24);
	}
	if (ioctl(server_fd, UFFDIO_COPY, &copy) && errno != EEXIST)
		target_fail("UFFDIO_COPY: %s", strerror(errno));
	ADD(faults, 1);
}

static void *page_server(void *arg)
{
	struct uffd_msg message;

	for (;;)
		if (read(server_fd, &message, sizeof(message)) == sizeof(message) &&
		    message.event == UFFD_EVENT_PAGEFAULT)
			serve((uint8_t *)(uintptr_t)(message.arg.pagefault.address &
						     ~(uint64_t)(PAGE - 1)));
	return arg;
}

/* pagemap(4): bit 62 of a page's word. */
static bool is_swapped(size_t page)
{
	uint64_t word = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (pread(fd, &word, 8, (off_t)(((uintptr_t)stack / PAGE + page) * 8)) != 8)
		exit(77);
	close(fd);
	return word >> 62 & 1;
}

/* All of them, or the kernel does not want to. */
static void page_out(void)
{
	for (int i = 0; i < 1000; i++) {
		size_t page = first_gone;

		madvise(stack + first_gone * PAGE, (last_gone - first_gone) * PAGE, 21);
		while (page < last_gone && is_swapped(page))
			page++;
		if (page == last_gone)
			return;
		usleep(1000);
	}
	exit(77);
}

/* Called by another thread: the frames above the one that waits go. */
static void take_away(void)
{
	if (paged) {
		page_out();
		return;
	}
	memcpy(saved, stack, STACK);
	if (madvise(stack + first_gone * PAGE, (last_gone - first_gone) * PAGE, MADV_DONTNEED))
		target_fail("madvise: %s", strerror(errno));
}

static void wait_at_the_bottom(void)
{
	char c = 0;
	size_t here = (size_t)((uint8_t *)__builtin_frame_address(0) - stack) / PAGE;

	first_gone = here + 2;
	last_gone = STACK / PAGE - 2; /* the uppermost has the thread's own variables */
	for (int i = 0; i < (awake ? ROUNDS : 1); i++) {
		if (write(asleep[1], &c, 1) != 1 || read(wake[0], &c, 1) != 1)
			target_fail("no wake-up");
		if (awake) {
			void *block = got(malloc(40), 40);
			drop(block, 40);
		}
	}
}

NOINLINE static unsigned descend(int depth)
{
	volatile uint8_t room[FRAME];
	unsigned sum = 0;

	for (size_t i = 0; i < FRAME; i++)
		room[i] = (uint8_t)(i * depth);
	if (depth)
		sum = descend(depth - 1);
	else
		wait_at_the_bottom();
	for (size_t i = 0; i < FRAME; i++)
		if (room[i] != (uint8_t)(i * depth))
			target_fail("frame %d is not as it was", depth);
	return sum + 1;
}

static void *sleeper(void *arg)
{
	if (descend(FRAMES) != FRAMES + 1)
		target_fail("frames are missing");
	return arg;
}

static void begin_serving(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.range = {(uintptr_t)stack, STACK},
					.mode = UFFDIO_REGISTER_MODE_MISSING};
	pthread_t thread;

	server_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (server_fd < 0 || ioctl(server_fd, UFFDIO_API, &api) ||
	    ioctl(server_fd, UFFDIO_REGISTER, &range))
		exit(77);
	pthread_create(&thread, NULL, page_server, NULL);
}

static void await_sleep(void)
{
	char c;

	if (read(asleep[0], &c, 1) != 1)
		target_fail("it does not sleep");
}

int main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t thread;
	char more[40];

	for (int i = 1; i < argc; i++) {
		awake |= !strcmp(argv[i], "-a");
		serving |= !strcmp(argv[i], "-s");
		paged |= !strcmp(argv[i], "-p");
	}
	stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED || pipe(wake) || pipe(asleep))
		return 1;
	memset(stack, 0, STACK);
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, STACK);
	pthread_create(&thread, &attr, sleeper, NULL);
	await_sleep();
	if (!paged)
		begin_serving();
	take_away();
	target_ready();
	for (int i = 0; i < ROUNDS; i++) {
		void *block = got(malloc(100), 100);
		drop(block, 100);
		if (awake) {
			if (write(wake[1], "", 1) == 1 && i + 1 < ROUNDS) {
				await_sleep();
				take_away();
			}
		}
	}
	if (!awake && write(wake[1], "", 1) != 1)
		target_fail("no wake-up");
	pthread_join(thread, NULL);
	target_done();
	snprintf(more, sizeof(more), ", \"faults\": %d", READ(faults));
	return target_result(more);
}
