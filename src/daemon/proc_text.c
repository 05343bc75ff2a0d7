#include "daemon/proc_text.h"

#include <string.h>

#define SOURCE_PREFIX "fildrive:"

/* In place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; to++) {
		bool octal = s[0] == '\\' && s[1] >= '0' && s[1] <= '3' &&
			     s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
			     s[3] <= '7';

		if (!octal) {
			*to = *s++;
			continue;
		}
		*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
		s += 4;
	}
	*to = '\0';
}

/* ID parent dev root MOUNTPOINT opts [tags] - TYPE SOURCE opts */
bool proc_mount(char *line, struct proc_mount *ret)
{
	char *save = NULL, *type, *source = NULL, *field;
	char *sep = strstr(line, " - ");

	if (!sep)
		return false;
	*sep = '\0';
	type = strtok_r(sep + 3, " ", &save);
	if (type)
		source = strtok_r(NULL, " \n", &save);
	if (!source || strncmp(type, "fuse", 4) != 0 ||
	    strncmp(source, SOURCE_PREFIX, strlen(SOURCE_PREFIX)) != 0)
		return false;
	ret->drive = source + strlen(SOURCE_PREFIX);
	ret->device = NULL;
	field = strtok_r(line, " ", &save);
	for (int i = 0; i < 4 && field; i++) {
		field = strtok_r(NULL, " ", &save);
		if (i == 1)
			ret->device = field;
	}
	if (!field || strlen(ret->device) >= PROC_DEVICE_MAX)
		return false;
	ret->at = field;
	unescape(ret->at);
	unescape(ret->drive);
	return true;
}

bool proc_swap(char *line, char **ret_path, char **ret_type)
{
	char *save = NULL, *path = strtok_r(line, " \t", &save);
	char *type = path ? strtok_r(NULL, " \t\n", &save) : NULL;

	if (!type || path[0] != '/')
		return false;
	unescape(path);
	*ret_path = path;
	*ret_type = type;
	return true;
}

char proc_state(const char *stat)
{
	const char *end = strrchr(stat, ')'); /* behind the name, whatever that is */

	return end && end[1] == ' ' ? end[2] : '\0';
}
