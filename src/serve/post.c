/* Both sides are this program: numbers are in the machine's own order.  But the worker may have
 * been taken over by a file that it read, so the server checks what it gets from there. */
#include "serve/post.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool post_write(struct post_bytes *bytes, uint32_t kind, uint64_t arg, const void *payload,
		size_t len)
{
	const struct post head = {kind, (uint32_t)len, arg};

	if (len > POST_MAX || !vec_reserve(bytes, bytes->len + sizeof(head) + len))
		return false;
	memcpy(bytes->at + bytes->len, &head, sizeof(head));
	if (len)
		memcpy(bytes->at + bytes->len + sizeof(head), payload, len);
	bytes->len += sizeof(head) + len;
	return true;
}

int post_pass(int socket, uint32_t kind, uint64_t arg, int fd)
{
	struct post head = {kind, 0, arg};
	struct iovec part = {&head, sizeof(head)};
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
						.cmsg_level = SOL_SOCKET,
						.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	do
		n = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n == sizeof(head) ? 0 : n < 0 ? -errno : -EPROTO;
}

int64_t post_read(const uint8_t *bytes, size_t len, struct post *ret)
{
	if (len < sizeof(*ret))
		return 0;
	memcpy(ret, bytes, sizeof(*ret));
	if (ret->len > POST_MAX)
		return -EPROTO;
	return len - sizeof(*ret) < ret->len ? 0 : (int64_t)(sizeof(*ret) + ret->len);
}

static int send_all(int socket, const void *bytes, size_t len)
{
	for (const char *at = bytes; len;) {
		ssize_t n = send(socket, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int post_send(int socket, uint32_t kind, uint64_t arg, const void *payload, size_t len)
{
	struct post_bytes bytes = {};
	int e = post_write(&bytes, kind, arg, payload, len) ? 0 : -ENOMEM;

	if (!e)
		e = send_all(socket, bytes.at, bytes.len);
	vec_deinit(&bytes);
	return e;
}

/* Receives len bytes, and a descriptor if one comes with them. */
static int receive(int socket, void *bytes, size_t len, int *fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;

	for (char *at = bytes; len;) {
		struct iovec part = {at, len};
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
		struct cmsghdr *found;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		found = CMSG_FIRSTHDR(&message);
		if (found && found->cmsg_type == SCM_RIGHTS)
			memcpy(fd, CMSG_DATA(found), sizeof(*fd));
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int post_wait(int socket, struct post *ret, struct post_bytes *payload, int *fd)
{
	int e;

	*fd = -1;
	vec_clear(payload);
	e = receive(socket, ret, sizeof(*ret), fd);
	if (e)
		return e;
	if (ret->len > POST_MAX || !vec_reserve(payload, (size_t)ret->len + 1))
		return -ENOMEM;
	e = receive(socket, payload->at, ret->len, fd);
	payload->len = ret->len;
	payload->at[ret->len] = '\0';
	return e;
}
