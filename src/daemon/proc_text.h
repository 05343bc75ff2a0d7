/*
 * proc_text.h - lines of files below /proc
 *
 * Paths in them are whatever people name files: the kernel writes a space, tab, newline
 * or backslash as \040 and the like.  Each function cuts the line that it is given,
 * a string, into pieces; what it returns points there.
 *
 * Spec: proc(5).  Threading: any, values.
 */
#ifndef DAEMON_PROC_TEXT_H
#define DAEMON_PROC_TEXT_H

#include <stdbool.h>

#define PROC_DEVICE_MAX 24 /* bytes of "major:minor", with NUL */

/* A mount of a drive. */
struct proc_mount {
	char *at;     /* the mountpoint */
	char *drive;  /* its name */
	char *device; /* shorter than PROC_DEVICE_MAX */
};

/* A line of mountinfo; false: it is no mount of a drive. */
bool proc_mount(char *line, struct proc_mount *ret);

/* A line of /proc/swaps: the path, and "partition" or "file".  False: the head line. */
bool proc_swap(char *line, char **ret_path, char **ret_type);

/* Of a process, /proc/PID/stat as a whole: the letter of its state, 0: there is none. */
char proc_state(const char *stat);

#endif
