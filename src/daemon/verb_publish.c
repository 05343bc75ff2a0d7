/* verb_publish.c - fildrive publish: plain UnixFS of a file or folder */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "daemon/exits.h"
#include "daemon/verbs.h"
#include "dag/cid.h"
#include "dag/publish.h"

static const struct cli_option options[] = {
	{ "output", 'o', false, "FILE.car", "where the CAR goes; default: NAME.car" },
	{ "hidden", 0, false, NULL, "take names that begin with a dot, too" },
	{ "force", 0, false, NULL, "replace an existing file" },
	CLI_END,
};

/* "photos/" → "photos.car" in the working directory. */
static int default_name(const char *path, char **ret)
{
	_cleanup_free_ char *copy = strdup(path);
	size_t n;
	char *name;

	if (!copy)
		return -ENOMEM;
	for (n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	name = strrchr(copy, '/');
	name = name ? name + 1 : copy;
	if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		name = copy + strlen(copy); /* no name of its own */
	return asprintf(ret, "%s.car", name[0] ? name : "published") < 0 ?
		       -ENOMEM :
		       0;
}

static int run(const struct cli *cli)
{
	struct publish_opts opts = { .hidden = cli_flag(cli, "hidden") };
	int flags = O_RDWR | O_CREAT | O_CLOEXEC |
		    (cli_flag(cli, "force") ? O_TRUNC : O_EXCL);
	_cleanup_free_ char *name = NULL;
	const char *out = cli_get(cli, "output");
	_cleanup_close_ int fd = -1;
	struct publish_stats stats;
	struct err why = { "" };
	char text[CID_TEXT_MAX];
	struct cid root;
	int r;

	r = out ? 0 : default_name(cli->args[0], &name);
	if (r < 0)
		return exits_err(r, NULL, "publish");
	out = out ? out : name;
	fd = open(out, flags, 0644);
	if (fd < 0)
		return exits_say(errno == EEXIST ? EXITS_USAGE : EXITS_GENERIC,
				 "%s: %s%s", out, err_str(errno),
				 errno == EEXIST ? "; --force replaces it" : "");
	r = publish_path(cli->args[0], &opts, fd, &root, &stats, &why);
	if (r == 0 && fsync(fd) < 0)
		r = err_set(&why, -errno, "%s: %s", out, err_str(errno));
	if (r < 0) {
		(void)unlink(out); /* half a CAR is none */
		return exits_err(r, &why, "publish");
	}
	cid_text(&root, text);
	if (stats.skipped)
		(void)fprintf(stderr,
			      "fildrive: warning: %" PRIu64
			      " fifos, sockets and devices have no UnixFS form and were left out\n",
			      stats.skipped);
	exits_out("%s\n", text);
	return EXITS_OK;
}

const struct cli_verb verb_publish = {
	.name = "publish",
	.args = "PATH",
	.min_args = 1,
	.max_args = 1,
	.summary = "write a file or folder as plain UnixFS into a CAR",
	.details = "Prints the CID that every tool with the profile unixfs-v1-2025 finds. The CAR\n"
		   "is not encrypted: it is for giving away.",
	.options = options,
	.run = run,
};
