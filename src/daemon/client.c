#include "daemon/client.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/err.h"
#include "base/path.h"
#include "base/thread.h"
#include "daemon/answer.h"
#include "daemon/lines.h"

struct client_conn {
	int fd;
	int daemon; /* its pidfd; -errno */
	struct lines in;
};

/*
 * Somebody else's process is no daemon of ours, whatever it is named: -EPERM.  Else
 * its pidfd in *ret, or why there is none.
 */
static int check_peer(int fd, int *ret)
{
	struct ucred peer = { 0 };
	socklen_t n = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return -errno;
	if (peer.uid != geteuid() && peer.uid != 0 && geteuid() != 0)
		return -EPERM;
	*ret = (int)syscall(SYS_pidfd_open, peer.pid, 0); /* close-on-exec */
	if (*ret < 0)
		*ret = -errno;
	return 0;
}

/* As in control.c: through the directory, since sun_path is short. */
static int connect_at(const char *path, int *ret_daemon)
{
	_cleanup_close_ int dir = -1, fd = -1;
	_cleanup_free_ char *copy = strdup(path);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char *last;
	int n;

	if (!copy)
		return -ENOMEM;
	last = strrchr(copy, '/');
	if (!last || last == copy)
		return -EINVAL;
	*last++ = '\0';
	dir = open(copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	n = snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir,
		     last);
	if (n < 0 || (size_t)n >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	n = check_peer(fd, ret_daemon);
	if (n < 0)
		return n;
	n = fd;
	fd = -1;
	return n;
}

int client_connect(const char *drive, struct client_conn **ret, struct err *reterr)
{
	_cleanup_free_ struct client_conn *c = calloc(1, sizeof(*c));
	_cleanup_free_ char *path = NULL;
	int r = path_socket(drive, &path);

	if (r == -EINVAL)
		return err_set(reterr, r, "'%.64s' is no name for a drive", drive);
	if (r < 0 || !c)
		return r < 0 ? r : -ENOMEM;
	c->fd = connect_at(path, &c->daemon);
	for (unsigned i = 0; c->fd == -ENOENT || c->fd == -ECONNREFUSED; i++) {
		_cleanup_free_ char *other = NULL;

		if (path_socket_elsewhere(drive, i, &other) < 0)
			break;
		r = connect_at(other, &c->daemon);
		if (r >= 0)
			c->fd = r;
	}
	if (c->fd < 0)
		return err_set(reterr, c->fd, "the daemon at %.160s: %s", path,
			       err_str(c->fd));
	lines_init(&c->in, CLIENT_LINE_MAX);
	*ret = steal(&c);
	return 0;
}

void client_close(struct client_conn *c)
{
	if (!c)
		return;
	lines_fini(&c->in);
	if (c->daemon >= 0)
		(void)close(c->daemon); /* only watched */
	(void)close(c->fd); /* every request had its answer, or we give up */
	free(c);
}

int client_wait_end(struct client_conn *c, int timeout_ms)
{
	struct pollfd p = { .fd = c->daemon, .events = POLLIN };
	int r;

	if (c->daemon < 0)
		return c->daemon == -ESRCH ? 0 : c->daemon;
	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

int client_send(struct client_conn *c, json_t *request)
{
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	size_t n, done = 0;
	int r = 0;

	json_decref(request);
	if (!text)
		return -ENOMEM;
	n = strlen(text);
	text[n++] = '\n'; /* the NUL is not sent */
	while (done < n) {
		ssize_t w = send(c->fd, text + done, n - done, MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			r = errno == EPIPE ? -ECONNRESET : -errno;
			break;
		}
		done += (size_t)w;
	}
	free(text);
	return r;
}

/* More bytes into `in`. */
static int receive(struct client_conn *c, int timeout_ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	uint8_t chunk[4096];
	ssize_t n;
	int r = poll(&p, 1, timeout_ms);

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (r == 0)
		return -ETIMEDOUT;
	n = recv(c->fd, chunk, sizeof(chunk), 0);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	return lines_feed(&c->in, slice(chunk, (size_t)n));
}

int client_recv(struct client_conn *c, int timeout_ms, json_t **ret)
{
	uint64_t until = monotonic_ms() + (uint64_t)MAX(timeout_ms, 0);
	struct slice line;

	while (!lines_next(&c->in, &line)) {
		uint64_t now = monotonic_ms();
		int left = timeout_ms < 0 ? -1 :
			   now < until    ? (int)(until - now) :
					    0;
		int r = receive(c, left);

		if (r < 0)
			return r;
	}
	return answer_read(line, ret);
}

int client_call(struct client_conn *c, json_t *request, int timeout_ms,
		void (*progress)(void *ctx, const json_t *p), void *ctx,
		json_t **ret, struct err *reterr)
{
	int r = client_send(c, request);

	while (r == 0) {
		_cleanup_json_ json_t *line = NULL;

		r = client_recv(c, timeout_ms, &line);
		if (r < 0)
			break;
		r = answer_end(line, reterr);
		if (r == 0)
			*ret = steal(&line);
		if (r <= 0)
			return r;
		if (progress)
			progress(ctx, json_object_get(line, "progress"));
		r = 0;
	}
	if (r == -ETIMEDOUT)
		return err_set(reterr, r, "the daemon does not answer");
	if (r == -ECONNRESET)
		return err_set(reterr, r, "the daemon has ended");
	return err_set(reterr, r, "asking the daemon: %s", err_str(r));
}

int client_status(struct client_conn *c, json_t **ret)
{
	return client_call(c, json_pack("{s:s}", "verb", "status"),
			   CLIENT_WAIT_MS, NULL, NULL, ret, NULL);
}
