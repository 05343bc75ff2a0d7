#include "fuse/op.h"

#include "fuse/reply.h"
#include "fuse/retry.h"

/* libfuse calls the handlers from fuse_session_process_buf() and passes nothing
 * of the calling thread through. */
static _Thread_local struct op_room *op_room;

void op_set_room(struct op_room *room)
{
	op_room = room;
}

void op_set_flags(unsigned flags)
{
	op_room->flags = flags;
}

struct op op_new(fuse_req_t req, int (*run)(struct op *op))
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct op){
		.req = req,
		.env = fuse_req_userdata(req),
		.room = op_room,
		.run = run,
		.who = { .uid = ctx->uid, .gid = ctx->gid },
		.umask = ctx->umask,
		.kflags = op_room->flags,
	};
}

void op_start(struct op *op)
{
	int r = op->run(op);

	if (r == -EINPROGRESS)
		r = retry_park(op->env->retry, op);
	if (r < 0)
		reply_err(op, r);
}
