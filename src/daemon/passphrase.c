#include "daemon/passphrase.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/slot.h"
#include "daemon/cli.h"

#define ROOM (SLOT_PASSPHRASE_MAX + 8192) /* a line, and what read(2) brought */

struct passphrase {
	char *room;
	size_t n;
};

/* ---- memory ---- */

int passphrase_room(size_t n, char **ret)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	/* Best effort, all three: RLIMIT_MEMLOCK may be tiny. */
	(void)mlock(p, n);
	(void)madvise(p, n, MADV_DONTDUMP);
	(void)madvise(p, n, MADV_DONTFORK);
	*ret = p;
	return 0;
}

void passphrase_wipe(char *room, size_t n)
{
	if (!room)
		return;
	explicit_bzero(room, n);
	(void)munmap(room, n); /* cannot fail for a whole mapping */
}

void passphrase_free(struct passphrase *p)
{
	if (!p)
		return;
	passphrase_wipe(p->room, ROOM);
	free(p);
}

struct slice passphrase_slice(const struct passphrase *p)
{
	return slice(p->room, p->n);
}

static int passphrase_new(struct passphrase **ret)
{
	_cleanup_free_ struct passphrase *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = passphrase_room(ROOM, &p->room);
	if (r < 0)
		return r;
	*ret = steal(&p);
	return 0;
}

/* ---- reading a line ---- */

/* The first line of fd, one byte at a time from a terminal's point of view. */
static int read_line(int fd, struct passphrase *p, struct err *reterr)
{
	size_t have = 0;
	char *end = NULL;

	while (have < ROOM && !end) {
		ssize_t got = read(fd, p->room + have, ROOM - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(reterr, -ENOKEY, "reading the passphrase: %s",
				       err_str(errno));
		if (got == 0)
			break;
		end = memchr(p->room + have, '\n', (size_t)got);
		have += (size_t)got;
	}
	p->n = end ? (size_t)(end - p->room) : have;
	if (p->n == 0)
		return err_set(reterr, -ENOKEY, "the passphrase is empty");
	if (p->n > SLOT_PASSPHRASE_MAX)
		return err_set(reterr, -ENOKEY, "the passphrase has over %d bytes",
			       SLOT_PASSPHRASE_MAX);
	return 0;
}

void passphrase_warn_open(int fd, const char *what, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (st.st_mode & 077)
		log_warn("others may read the %s %s: chmod 600 it", what, path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		log_warn("the %s %s belongs to another user, who may read and change it",
			 what, path);
}

static int read_file(const char *path, struct passphrase *p, struct err *reterr)
{
	_cleanup_close_ int fd = -1;

	if (strcmp(path, "-") == 0)
		return read_line(STDIN_FILENO, p, reterr);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_set(reterr, -ENOKEY, "passphrase file %.150s: %s",
			       path, err_str(errno));
	passphrase_warn_open(fd, "passphrase file", path);
	return read_line(fd, p, reterr);
}

/* ---- a program ---- */

static int spawn_shell(const char *cmd, int out, pid_t *ret)
{
	char sh[] = "sh", dash_c[] = "-c";
	_cleanup_free_ char *copy = strdup(cmd);
	char *argv[] = { sh, dash_c, copy, NULL };
	posix_spawn_file_actions_t fa;
	int r;

	if (!copy)
		return -ENOMEM;
	r = posix_spawn_file_actions_init(&fa);
	if (r)
		return -r;
	r = posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn(ret, "/bin/sh", &fa, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&fa); /* never fails on Linux */
	return -r;
}

static int read_program(const char *cmd, struct passphrase *p, struct err *reterr)
{
	_cleanup_close_ int in = -1, out = -1;
	int fds[2], status = 0, r, failed;
	pid_t pid = 0;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	in = fds[0];
	out = fds[1];
	r = spawn_shell(cmd, out, &pid);
	if (r < 0)
		return err_set(reterr, -ENOKEY,
			       "cannot start the --extpass command: %s",
			       err_str(r));
	(void)close(out); /* so that the program's end is the end of file */
	out = -1;
	failed = read_line(in, p, reterr);
	(void)close(in); /* a talkative program gets SIGPIPE */
	in = -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (failed < 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return failed;
	if (failed < 0) {
		reterr->text[0] = '\0';
		return err_set(reterr, -ENOKEY,
			       "the --extpass command failed and gave no passphrase");
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		return err_set(reterr, -ENOKEY,
			       "the --extpass command ended with status %d",
			       WEXITSTATUS(status));
	return 0;
}

/* ---- a person ---- */

static int ask(int tty, const char *prompt, struct passphrase *p, struct err *reterr)
{
	struct termios was, quiet;
	int r;

	if (tcgetattr(tty, &was) < 0)
		return err_set(reterr, -ENOKEY, "cannot read from the terminal: %s",
			       err_str(errno));
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
	quiet.c_lflag |= ICANON | ECHONL;
	/* Silent first: who answers a prompt at once must not be echoed. */
	if (tcsetattr(tty, TCSAFLUSH, &quiet) < 0)
		return err_set(reterr, -ENOKEY,
			       "cannot silence the terminal: %s", err_str(errno));
	(void)dprintf(tty, "%s: ", prompt); /* the read tells */
	r = read_line(tty, p, reterr);
	(void)tcsetattr(tty, TCSAFLUSH, &was); /* best effort */
	return r;
}

static int read_terminal(const struct passphrase_from *from,
			 struct passphrase *p, struct err *reterr)
{
	_cleanup_close_ int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	_cleanup_passphrase_ struct passphrase *again = NULL;
	int r;

	if (tty < 0)
		return err_set(reterr, -ENOKEY,
			       "no terminal to ask for the passphrase: give --passfile or --extpass");
	r = ask(tty, from->prompt, p, reterr);
	if (r < 0 || !from->twice)
		return r;

	r = passphrase_new(&again);
	if (r < 0)
		return r;
	r = ask(tty, "The same again", again, reterr);
	if (r < 0)
		return r;
	if (!slice_eq(passphrase_slice(p), passphrase_slice(again)))
		return err_set(reterr, -ENOKEY, "the two passphrases differ");
	return 0;
}

/* ---- which of them ---- */

int passphrase_from_cli(const struct cli *cli, const char *passfile,
			const char *extpass, struct passphrase_from *ret,
			struct err *reterr)
{
	const struct cli_value *file = cli_value(cli, passfile);
	const struct cli_value *ext = cli_value(cli, extpass);

	ret->passfile = cli_get(cli, passfile);
	ret->extpass = cli_get(cli, extpass);
	if (!ret->passfile || !ret->extpass)
		return 0;
	if (file->from_env == ext->from_env)
		return err_set(reterr, -EINVAL, "--%s and --%s exclude each other",
			       passfile, extpass);
	if (file->from_env)
		ret->passfile = NULL;
	else
		ret->extpass = NULL;
	return 0;
}

bool passphrase_asks(const struct passphrase_from *from)
{
	return !from->passfile && !from->extpass;
}

int passphrase_read(const struct passphrase_from *from, struct passphrase **ret,
		    struct err *reterr)
{
	_cleanup_passphrase_ struct passphrase *p = NULL;
	int r = passphrase_new(&p);

	if (r < 0)
		return r;
	if (from->passfile)
		r = read_file(from->passfile, p, reterr);
	else if (from->extpass)
		r = read_program(from->extpass, p, reterr);
	else
		r = read_terminal(from, p, reterr);
	if (r < 0)
		return r;
	*ret = steal(&p);
	return 0;
}
