/*
 * http_job.h - one request in curl's hands (internal to http*.c)
 *
 * A job is made by http_start() and lives until `done`.  http_job.c speaks to
 * the easy handle: options, the answer's head and body, the verdict; http.c
 * drives the multi handle from the loop.
 */
#ifndef NET_HTTP_JOB_H
#define NET_HTTP_JOB_H

#include <curl/curl.h>

#include "net/http.h"

struct http_upload;

#define HTTP_WHERE_MAX 320 /* bytes of "https://host:port", with NUL */

struct http_job {
	struct http_req *req;
	CURL *easy;
	struct curl_slist *headers;
	struct http_upload *upload;
	uint64_t start_ms; /* monotonic, as the next; later by what stood */
	uint64_t moved_ms; /* something moved; 0: waits for its connection */
	bool checked;      /* the head was found good */
	bool enough;       /* we stopped reading an error's text */
	bool paused;       /* the upload waits for the disk */
	bool removed;      /* from the multi handle */
	bool stood;        /* in some of its time nobody looked */
	int stop;          /* our own reason to stop; 0: none */
	size_t n_said;
	int status; /* the verdict, once removed */
	char where[HTTP_WHERE_MAX];
	char curl_text[CURL_ERROR_SIZE];
};

/* `ready(job)`: http_upload.h.  -EINVAL, -ENOMEM. */
must_check int http_job_new(const struct http_params *p, const char *agent,
			    struct http_req *req, void (*ready)(void *job),
			    struct http_job **ret);
void http_job_free(struct http_job *j); /* NULL is fine */

/* It is over, with curl's code or j->stop: the status, and err.text. */
int http_job_verdict(struct http_job *j, CURLcode cc);

/* For so long, until `now`, nobody has looked at it: that counts for no deadline. */
void http_job_stood(struct http_job *j, uint64_t ms, uint64_t now);

/* What `now` (monotonic, ms) means for its deadlines: 0 or -ETIMEDOUT. */
int http_job_deadline(const struct http_job *j, uint64_t now);

#endif
