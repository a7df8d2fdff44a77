/*
 * A connection as two buffers.  Sending never blocks and never raises SIGPIPE; reading
 * takes what is there.  The reader refuses a message by its header, before its bytes
 * arrive, so that the input buffer is bounded by the longest allowed message.
 */
#include "symbols/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { READ_BYTES = 64 << 10 };

int channel_init(struct channel *channel, int fd, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, -errno, "cannot set up the connection to memtrace-fs");
	*channel = (struct channel){.fd = fd, .peer = WIRE_SERVER};
	return 0;
}

void channel_deinit(struct channel *channel)
{
	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
	wire_out_deinit(&channel->out);
	vec_deinit(&channel->in);
}

/* A peer that ended with bytes of ours unread shows as ECONNRESET: one end, one error. */
static int gone(int error, struct err *err)
{
	if (error == EPIPE || error == ECONNRESET)
		return err_set(err, -EPIPE, "memtrace-fs has ended");
	return err_sys(err, -error, "the connection to memtrace-fs is lost");
}

int channel_flush(struct channel *channel, struct err *err)
{
	struct wire_out *out = &channel->out;

	if (out->bad)
		return err_set(err, -ENOMEM, "no memory for a question to memtrace-fs");
	while (channel->sent < out->bytes.len) {
		ssize_t n = send(channel->fd, out->bytes.at + channel->sent,
				 out->bytes.len - channel->sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0)
			return gone(errno, err);
		channel->sent += (size_t)n;
	}
	vec_clear(&out->bytes);
	channel->sent = 0;
	return 0;
}

/* Moves what was not handed out yet to the front, then receives behind it. */
static int receive(struct channel *channel, struct err *err)
{
	ssize_t n;

	if (channel->taken) {
		channel->in.len -= channel->taken;
		memmove(channel->in.at, channel->in.at + channel->taken, channel->in.len);
		channel->taken = 0;
	}
	if (!vec_reserve(&channel->in, channel->in.len + READ_BYTES))
		return err_set(err, -ENOMEM, "no memory for an answer of memtrace-fs");
	n = recv(channel->fd, channel->in.at + channel->in.len, READ_BYTES, 0);
	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n <= 0)
		return gone(n ? errno : EPIPE, err);
	channel->in.len += (size_t)n;
	return 1;
}

int channel_wait(struct channel *channel, int64_t deadline, struct err *err)
{
	for (;;) {
		int e = channel_flush(channel, err);
		struct pollfd pfd = {.fd = channel->fd, .events = POLLIN};
		int64_t left = deadline - clock_ms();

		/* A peer that has gone may have left words behind: read them first. */
		if (e && e != -EPIPE)
			return e;
		if (!e && channel->out.bytes.len)
			pfd.events |= POLLOUT;
		left = left < 0 ? 0 : left > 1000000 ? 1000000 : left;
		if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			return err_sys(err, -errno, "cannot wait for memtrace-fs");
		if (pfd.revents & (POLLIN | POLLHUP | POLLERR)) {
			int n = receive(channel, err);
			if (n)
				return n < 0 ? n : 0;
		}
		if (e)
			return e;
		if (clock_ms() >= deadline)
			return err_set(err, -ETIMEDOUT, "memtrace-fs does not answer");
	}
}

int channel_next(struct channel *channel, struct wire_message *ret, struct err *err)
{
	int64_t n;

	if (!channel->in.len) /* no buffer yet, into which to point */
		return 0;
	n = wire_read(channel->in.at + channel->taken, channel->in.len - channel->taken,
		      channel->peer, ret, err);
	if (n > 0)
		channel->taken += (size_t)n;
	return n > 0 ? 1 : (int)n;
}
