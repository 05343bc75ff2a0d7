/*
 * publish_car.c - the CAR of a folder, for a comparison with other tools
 *
 *   publish_car PATH CAR      prints the root's CID
 *
 * Names that begin with a dot are taken too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "dag/cid.h"
#include "dag/publish.h"

int main(int argc, char **argv)
{
	const struct publish_opts opts = { .hidden = true };
	struct publish_stats stats;
	struct err why = { "" };
	struct cid root;
	char text[CID_TEXT_MAX];
	_cleanup_close_ int fd = -1;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: publish_car PATH CAR\n");
		return 2;
	}
	fd = open(argv[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		perror(argv[2]);
		return 1;
	}
	r = publish_path(argv[1], &opts, fd, &root, &stats, &why);
	if (r < 0) {
		fprintf(stderr, "publish_car: %s\n",
			why.text[0] ? why.text : err_str(r));
		return 1;
	}
	cid_text(&root, text);
	return printf("%s\n", text) < 0;
}
