/*
 * notify.h - sd_notify(3) in a few lines: a datagram to $NOTIFY_SOCKET
 *
 * Threading: any.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* "READY=1", "STOPPING=1", ….  Nobody to tell, or no luck: nothing happens. */
void notify_systemd(const char *state);

#endif
