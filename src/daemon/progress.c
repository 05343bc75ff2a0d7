#include "daemon/progress.h"

#include <stdio.h>
#include <string.h>

#include "daemon/units.h"

#define BAR_WIDTH 30 /* columns */

void progress_init(struct progress *p, bool quiet)
{
	p->shown = !quiet && isatty(STDERR_FILENO);
	p->dirty = false;
}

void progress_line(void *ctx, const json_t *line)
{
	struct progress *p = ctx;
	const char *stage = json_string_value(json_object_get(line, "stage"));
	uint64_t done = (uint64_t)json_integer_value(json_object_get(line, "done"));
	uint64_t total =
		(uint64_t)json_integer_value(json_object_get(line, "total"));
	char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX], bar[BAR_WIDTH + 1];
	size_t n;

	if (!p->shown || !stage)
		return;
	p->dirty = true;
	if (total == 0) {
		(void)fprintf(stderr, "\r\033[K%.40s …", stage);
		return;
	}
	done = MIN(done, total);
	n = (size_t)((unsigned __int128)done * BAR_WIDTH / total);
	memset(bar, '#', n);
	memset(bar + n, '.', BAR_WIDTH - n);
	bar[BAR_WIDTH] = '\0';
	units_say_size(done, a);
	units_say_size(total, b);
	(void)fprintf(stderr, "\r\033[K%-12.40s [%s] %s of %s", stage, bar, a, b);
}

void progress_wipe(struct progress *p)
{
	if (p->dirty)
		(void)fprintf(stderr, "\r\033[K");
	p->dirty = false;
}

void progress_fini(struct progress *p)
{
	progress_wipe(p);
}
