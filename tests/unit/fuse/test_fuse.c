/* The parts of fuse/ that need no kernel: ACLs, options, errors, entries, wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/err.h"
#include "cache/cache.h"
#include "fuse/acl.h"
#include "fuse/dirent.h"
#include "fuse/op.h"
#include "fuse/opts.h"
#include "fuse/reply.h"
#include "fuse/wire.h"

/* ---- ACLs ---- */

struct value {
	uint8_t p[ACL_BYTES_MAX + 8];
	size_t n;
};

static void start(struct value *v)
{
	put_le32(v->p, 2);
	v->n = 4;
}

static void add(struct value *v, unsigned tag, unsigned perm, uint32_t id)
{
	put_le32(v->p + v->n, tag | perm << 16);
	put_le32(v->p + v->n + 4, id);
	v->n += 8;
}

static int parse(const struct value *v, struct acl *a)
{
	return acl_parse(slice(v->p, v->n), a);
}

/* u::rwx u:1000:rw- g::r-x m::rwx o::--- */
static void example(struct value *v)
{
	start(v);
	add(v, ACL_USER_OBJ, 7, UINT32_MAX);
	add(v, ACL_USER, 6, 1000);
	add(v, ACL_GROUP_OBJ, 5, UINT32_MAX);
	add(v, ACL_MASK, 7, UINT32_MAX);
	add(v, ACL_OTHER, 0, UINT32_MAX);
}

static void plain(struct value *v, unsigned u, unsigned g, unsigned o)
{
	start(v);
	add(v, ACL_USER_OBJ, u, UINT32_MAX);
	add(v, ACL_GROUP_OBJ, g, UINT32_MAX);
	add(v, ACL_OTHER, o, UINT32_MAX);
}

static void an_acl_is_written_as_it_was_read(void **state)
{
	uint8_t out[ACL_BYTES_MAX];
	struct value v;
	struct acl a;

	(void)state;
	example(&v);
	assert_int_equal(parse(&v, &a), 0);
	assert_int_equal(acl_encode(&a, out), v.n);
	assert_memory_equal(out, v.p, v.n);
}

static void an_acl_of_wrong_form_is_refused(void **state)
{
	struct value v;
	struct acl a;

	(void)state;
	example(&v);
	v.n--;
	assert_int_equal(parse(&v, &a), -EINVAL);
	v.n = 3;
	assert_int_equal(parse(&v, &a), -EINVAL);
	v.n = 4;
	assert_int_equal(parse(&v, &a), -EINVAL);
	example(&v);
	v.p[0] = 1; /* version */
	assert_int_equal(parse(&v, &a), -EINVAL);
	plain(&v, 8, 0, 0); /* permissions past 7 */
	assert_int_equal(parse(&v, &a), -EINVAL);

	start(&v); /* a named entry without a mask */
	add(&v, ACL_USER_OBJ, 7, 0);
	add(&v, ACL_USER, 7, 5);
	add(&v, ACL_GROUP_OBJ, 7, 0);
	add(&v, ACL_OTHER, 7, 0);
	assert_int_equal(parse(&v, &a), -EINVAL);

	start(&v); /* out of order */
	add(&v, ACL_GROUP_OBJ, 7, 0);
	add(&v, ACL_USER_OBJ, 7, 0);
	add(&v, ACL_OTHER, 7, 0);
	assert_int_equal(parse(&v, &a), -EINVAL);

	start(&v); /* user:: twice */
	add(&v, ACL_USER_OBJ, 7, 0);
	add(&v, ACL_USER_OBJ, 7, 0);
	add(&v, ACL_GROUP_OBJ, 7, 0);
	add(&v, ACL_OTHER, 7, 0);
	assert_int_equal(parse(&v, &a), -EINVAL);

	start(&v); /* an unknown tag */
	add(&v, ACL_USER_OBJ, 7, 0);
	add(&v, 3, 7, 0);
	add(&v, ACL_GROUP_OBJ, 7, 0);
	add(&v, ACL_OTHER, 7, 0);
	assert_int_equal(parse(&v, &a), -EINVAL);

	start(&v); /* named, for nobody */
	add(&v, ACL_USER_OBJ, 7, 0);
	add(&v, ACL_USER, 7, UINT32_MAX);
	add(&v, ACL_GROUP_OBJ, 7, 0);
	add(&v, ACL_MASK, 7, 0);
	add(&v, ACL_OTHER, 7, 0);
	assert_int_equal(parse(&v, &a), -EINVAL);
}

static void an_acl_past_the_maximum_is_refused_before_it_is_kept(void **state)
{
	static uint8_t many[4 + 8 * (ACL_ENTRIES_MAX + 1)];
	struct acl a;

	(void)state;
	put_le32(many, 2);
	assert_int_equal(acl_parse(slice(many, sizeof(many)), &a), -E2BIG);
}

static void a_mode_shows_the_mask_where_there_is_one(void **state)
{
	uint32_t mode = S_IFREG | S_ISGID | 0111;
	struct value v;
	struct acl a;

	(void)state;
	example(&v);
	assert_int_equal(parse(&v, &a), 0);
	assert_false(acl_to_mode(&a, &mode));
	assert_int_equal(mode, S_IFREG | S_ISGID | 0770);

	plain(&v, 6, 4, 1);
	assert_int_equal(parse(&v, &a), 0);
	assert_true(acl_to_mode(&a, &mode));
	assert_int_equal(mode, S_IFREG | S_ISGID | 0641);
}

static void chmod_changes_the_mask_and_leaves_the_group(void **state)
{
	uint32_t mode = 0;
	struct value v;
	struct acl a;

	(void)state;
	example(&v);
	assert_int_equal(parse(&v, &a), 0);
	acl_chmod(&a, 0642);
	assert_int_equal(a.e[0].perm, 6);
	assert_int_equal(a.e[1].perm, 6); /* user:1000 */
	assert_int_equal(a.e[2].perm, 5); /* group:: */
	assert_int_equal(a.e[3].perm, 4); /* mask:: */
	assert_int_equal(a.e[4].perm, 2);
	assert_false(acl_to_mode(&a, &mode));
	assert_int_equal(mode, 0642);
}

static void what_is_inherited_is_never_more_than_asked_for(void **state)
{
	uint32_t mode = S_IFREG | 0640;
	struct value v;
	struct acl a;

	(void)state;
	example(&v);
	assert_int_equal(parse(&v, &a), 0);
	assert_false(acl_inherit(&a, &mode));
	assert_int_equal(mode, S_IFREG | 0640);
	assert_int_equal(a.e[0].perm, 6);
	assert_int_equal(a.e[2].perm, 5);
	assert_int_equal(a.e[3].perm, 4); /* mask: rwx, asked for r-- */

	plain(&v, 7, 5, 0); /* a default ACL that is only a mode */
	mode = S_IFREG | 0666;
	assert_int_equal(parse(&v, &a), 0);
	assert_true(acl_inherit(&a, &mode));
	assert_int_equal(mode, S_IFREG | 0640);
}

/* ---- errors ---- */

static void callers_only_see_errors_of_posix(void **state)
{
	static const int ours[] = { EBADMSG,     EUCLEAN,      EPROTO,
				    EREMOTEIO,   ETIMEDOUT,    EINPROGRESS,
				    ENETUNREACH, ECONNREFUSED, ENOTUNIQ };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		assert_int_equal(reply_errno(-ours[i]), EIO);
	assert_int_equal(reply_errno(-ECANCELED), EINTR);
	assert_int_equal(reply_errno(-ENOKEY), EACCES);
	assert_int_equal(reply_errno(-ENOENT), ENOENT);
	assert_int_equal(reply_errno(-ENOSPC), ENOSPC);
	assert_int_equal(reply_errno(-ENODATA), ENODATA);
	assert_int_equal(reply_errno(-5000), EIO); /* no errno at all */
	assert_int_equal(reply_errno(7), EIO);
}

/* ---- options ---- */

static void mounts_are_nosuid_and_nodev_unless_asked(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(opts_parse(NULL, &o, NULL), 0);
	assert_int_equal(o.flags, MS_NOSUID | MS_NODEV | MS_NOATIME);
	assert_string_equal(o.subtype, "fildrive");
	assert_string_equal(o.fsname, "");
	assert_int_equal(opts_parse("suid,dev,ro,noexec,noatime", &o, NULL), 0);
	assert_int_equal(o.flags, MS_RDONLY | MS_NOEXEC | MS_NOATIME);
	assert_int_equal(opts_parse("ro,rw,noexec,exec", &o, NULL), 0);
	assert_int_equal(o.flags, MS_NOSUID | MS_NODEV | MS_NOATIME);
	assert_int_equal(opts_parse("suid,dev,relatime", &o, NULL), 0);
	assert_int_equal(o.flags, MS_RELATIME);
	assert_int_equal(opts_parse("suid,dev,atime,nodiratime", &o, NULL), 0);
	assert_int_equal(o.flags, MS_RELATIME | MS_NODIRATIME);
	assert_int_equal(opts_parse("suid,dev,relatime,strictatime", &o, NULL), 0);
	assert_int_equal(o.flags, MS_STRICTATIME);
	assert_int_equal(opts_parse("suid,dev,relatime,noatime", &o, NULL), 0);
	assert_int_equal(o.flags, MS_NOATIME);
}

static void a_remount_changes_what_it_names_and_can(void **state)
{
	const unsigned long now = MS_NODEV | MS_NOATIME;
	struct err e = { { 0 } };
	unsigned long flags = 0;

	(void)state;
	assert_int_equal(opts_parse_again("ro", now, &flags, NULL), 0);
	assert_int_equal(flags, now | MS_RDONLY);
	assert_int_equal(opts_parse_again("rw,noatime,user_id=0,group_id=0,"
					  "default_permissions,allow_other,dev",
					  now | MS_RDONLY, &flags, NULL),
			 0);
	assert_int_equal(flags, MS_NOATIME);
	assert_int_equal(opts_parse_again("ro,relatime", now, &flags, &e), -EINVAL);
	assert_non_null(strstr(e.text, "noatime"));
	e.text[0] = '\0';
	assert_int_equal(opts_parse_again("ro,frob", now, &flags, &e), -EINVAL);
	assert_non_null(strstr(e.text, "frob"));
	assert_int_equal(opts_parse_again("user_id", now, &flags, NULL), -EINVAL);
}

static void options_of_fuse_and_of_fstab_are_taken(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(opts_parse("defaults,_netdev,x-systemd.automount,"
				    "x-gvfs-name=a b,allow_other,"
				    "default_permissions,max_read=65536,"
				    "fsname=a\\,b\\\\c,subtype=z,writeback_cache",
				    &o, NULL),
			 0);
	assert_true(o.allow_other && o.writeback_cache && !o.allow_root);
	assert_int_equal(o.max_read, 65536);
	assert_string_equal(o.fsname, "a,b\\c");
	assert_string_equal(o.subtype, "z");
	assert_int_equal(opts_parse("ro,allow_root", &o, NULL), 0);
	assert_true(o.allow_root && o.flags & MS_RDONLY);
}

static void an_unknown_option_is_named_in_the_error(void **state)
{
	static const char *const bad[] = {
		"umask=022",      "ro,frob,rw",
		"ro=1",           "fsname",
		"fsname=",        "max_read=12",
		"max_read=-1",    "max_read=9999999999999999999999",
		"max_read=4096x", "allow_other,allow_root",
		"user_id=0",
	};
	static const char *const word[] = {
		"umask=022", "frob",        "ro=1",        "fsname",
		"fsname",    "max_read=12", "max_read=-1", "max_read=999",
		"4096x",     "allow_root",  "user_id",
	};
	struct opts o;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { { 0 } };

		assert_int_equal(opts_parse(bad[i], &o, &e), -EINVAL);
		assert_non_null(strstr(e.text, word[i]));
	}
}

static void an_endless_option_is_refused(void **state)
{
	static char text[100000];
	struct err e = { { 0 } };
	struct opts o;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	assert_int_equal(opts_parse(text, &o, &e), -EINVAL);
	assert_non_null(strstr(e.text, "too long"));
}

/* ---- entries ---- */

static struct refs {
	uint64_t ino[8];
	size_t n;
} refs;

static void count_ref(void *ctx, uint64_t ino)
{
	struct refs *r = ctx;

	assert_true(r->n < ARRAY_LEN(r->ino));
	r->ino[r->n++] = ino;
}

static void entries_have_the_layout_of_the_kernel(void **state)
{
	struct cache_attr a = { .ino = 77, .mode = S_IFDIR | 0755 };
	_Alignas(8) uint8_t p[512];
	struct dirent_pack d = { .p = p, .max = sizeof(p) };
	struct fuse_dirent e;

	(void)state;
	memset(p, 0xff, sizeof(p));
	assert_true(dirent_add(&d, slice("abcXX", 3), &a, 9, true));
	assert_int_equal(d.n, 32);
	memcpy(&e, p, 24);
	assert_int_equal(e.ino, 77);
	assert_int_equal(e.off, 9);
	assert_int_equal(e.namelen, 3);
	assert_int_equal(e.type, 4); /* DT_DIR */
	assert_memory_equal(p + 24, "abc\0\0\0\0\0", 8);
	assert_true(dirent_add(&d, slice("12345678", 8), &a, 10, true));
	assert_int_equal(d.n, 64); /* exactly full: no padding */
}

static void only_entries_that_went_in_hand_out_references(void **state)
{
	struct cache_attr a = { .ino = 5, .mode = S_IFREG | 0644, .size = 123 };
	_Alignas(8) uint8_t p[2 * (128 + 32)];
	struct dirent_pack d = {
		.p = p, .max = sizeof(p), .plus = true, .timeout_s = 10
	};
	struct fuse_entry_out out;

	(void)state;
	refs.n = 0;
	assert_true(dirent_add(&d, slice_str("."), &a, 1, false));
	a.ino = 6;
	assert_true(dirent_add(&d, slice_str("b"), &a, 3, true));
	a.ino = 7;
	assert_false(dirent_add(&d, slice_str("c"), &a, 4, true));
	assert_int_equal(d.n, 320);
	dirent_refs(&d, count_ref, &refs);
	assert_int_equal(refs.n, 1);
	assert_int_equal(refs.ino[0], 6);
	memcpy(&out, p + 160, sizeof(out));
	assert_int_equal(out.nodeid, 6);
	assert_int_equal(out.attr.size, 123);
	assert_int_equal(out.attr_valid, 10);
}

/* ---- wire ---- */

struct request {
	struct fuse_in_header h;
	uint8_t arg[256];
};

static size_t make(struct request *q, uint32_t opcode, const void *arg, size_t n)
{
	memset(q, 0, sizeof(*q));
	memcpy(q->arg, arg, n);
	q->h.opcode = opcode;
	q->h.unique = 42;
	q->h.len = (uint32_t)(sizeof(q->h) + n);
	return q->h.len;
}

static void init_gets_the_flags_that_the_kernel_offered(void **state)
{
	struct fuse_init_in in = { .major = 7,
				   .minor = 38,
				   .flags = FUSE_HANDLE_KILLPRIV_V2 |
					    FUSE_PARALLEL_DIROPS };
	struct fuse_init_out out = { .flags = FUSE_POSIX_ACL };
	struct fuse_out_header head = { .unique = 42 };
	struct iovec iov[2] = { { &head, sizeof(head) }, { &out, sizeof(out) } };
	struct wire w = { 0 };
	struct wire_kind kind;
	struct request q;
	size_t n = make(&q, FUSE_INIT, &in, sizeof(in));

	(void)state;
	assert_int_equal(wire_request(&w, (uint8_t *)&q, n, &kind), n);
	head.unique = 41; /* the answer to something else */
	wire_reply(&w, iov, 2);
	assert_int_equal(out.flags, FUSE_POSIX_ACL);
	head.unique = 42;
	wire_reply(&w, iov, 2);
	assert_int_equal(out.flags, FUSE_POSIX_ACL | FUSE_HANDLE_KILLPRIV_V2 |
					    FUSE_PARALLEL_DIROPS);
	assert_true(w.answered);
	assert_false(w.setxattr_ext); /* was not offered */
}

static void a_tmpfile_becomes_a_create(void **state)
{
	struct fuse_create_in in = { .mode = 0600 };
	struct wire w = { 0 };
	struct wire_kind kind;
	struct request q;
	size_t n = make(&q, FUSE_TMPFILE, &in, sizeof(in));

	(void)state;
	assert_int_equal(wire_request(&w, (uint8_t *)&q, n, &kind), n);
	assert_int_equal(q.h.opcode, FUSE_CREATE);
	assert_int_equal(kind.flags, OP_TMPFILE);
}

static void a_statx_becomes_a_getattr(void **state)
{
	struct {
		struct fuse_getattr_in in;
		uint32_t flags, mask;
	} in = { .in = { .fh = 7 }, .mask = STATX_BTIME };
	struct wire w = { 0 };
	struct wire_kind kind;
	struct request q;
	size_t n = make(&q, WIRE_STATX, &in, sizeof(in));

	(void)state;
	assert_int_equal(wire_request(&w, (uint8_t *)&q, n, &kind), n - 8);
	assert_int_equal(q.h.opcode, FUSE_GETATTR);
	assert_int_equal(q.h.len, n - 8);
	assert_memory_equal(q.arg, &in.in, sizeof(in.in));
	assert_int_equal(kind.flags, OP_STATX);
	n = make(&q, WIRE_STATX, &in, sizeof(in.in)); /* not of this form */
	assert_int_equal(wire_request(&w, (uint8_t *)&q, n, &kind), n);
	assert_int_equal(q.h.opcode, WIRE_STATX);
	assert_int_equal(kind.flags, 0);
}

static void kill_flags_are_seen_and_setxattr_is_cut_down(void **state)
{
	struct fuse_setattr_in sa = { .valid = FATTR_SIZE | FATTR_KILL_SUIDGID };
	struct fuse_write_in wr = { .size = 100,
				    .write_flags = FUSE_WRITE_KILL_SUIDGID };
	struct {
		struct fuse_setxattr_in in;
		char rest[8];
	} x = { .in = { .size = 3,
			.flags = 1,
			.setxattr_flags = FUSE_SETXATTR_ACL_KILL_SGID },
		.rest = "user.a" };
	struct wire w = { .setxattr_ext = true };
	struct wire_kind kind;
	struct request q;
	size_t n = make(&q, FUSE_SETATTR, &sa, sizeof(sa));
	uint32_t size;

	(void)state;
	(void)wire_request(&w, (uint8_t *)&q, n, &kind);
	assert_int_equal(kind.flags, OP_KILL_SUID);
	n = make(&q, FUSE_WRITE, &wr, sizeof(wr));
	(void)wire_request(&w, (uint8_t *)&q, n, &kind);
	assert_int_equal(kind.flags, OP_KILL_SUID);
	assert_false(kind.heavy);

	n = make(&q, FUSE_SETXATTR, &x, sizeof(x));
	assert_int_equal(wire_request(&w, (uint8_t *)&q, n, &kind), n - 8);
	assert_int_equal(kind.flags, OP_KILL_SGID);
	assert_int_equal(q.h.len, n - 8);
	memcpy(&size, q.arg, sizeof(size)); /* FUSE speaks the host's order */
	assert_int_equal(size, 3);
	assert_string_equal((char *)q.arg + 8, "user.a");
}

static void short_requests_are_left_alone(void **state)
{
	static const uint32_t opcodes[] = { FUSE_INIT,     FUSE_SETATTR,
					    FUSE_WRITE,    FUSE_READ,
					    FUSE_SETXATTR, WIRE_STATX };
	struct wire w = { .setxattr_ext = true };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(opcodes); i++) {
		struct wire_kind kind;
		struct request q;
		size_t n = make(&q, opcodes[i], "\xff\xff\xff", 3);

		assert_int_equal(wire_request(&w, (uint8_t *)&q, n, &kind), n);
		assert_int_equal(kind.flags, 0);
		assert_int_equal(wire_request(&w, (uint8_t *)&q, 17, &kind), 17);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_acl_is_written_as_it_was_read),
		cmocka_unit_test(an_acl_of_wrong_form_is_refused),
		cmocka_unit_test(an_acl_past_the_maximum_is_refused_before_it_is_kept),
		cmocka_unit_test(a_mode_shows_the_mask_where_there_is_one),
		cmocka_unit_test(chmod_changes_the_mask_and_leaves_the_group),
		cmocka_unit_test(what_is_inherited_is_never_more_than_asked_for),
		cmocka_unit_test(callers_only_see_errors_of_posix),
		cmocka_unit_test(mounts_are_nosuid_and_nodev_unless_asked),
		cmocka_unit_test(a_remount_changes_what_it_names_and_can),
		cmocka_unit_test(options_of_fuse_and_of_fstab_are_taken),
		cmocka_unit_test(an_unknown_option_is_named_in_the_error),
		cmocka_unit_test(an_endless_option_is_refused),
		cmocka_unit_test(entries_have_the_layout_of_the_kernel),
		cmocka_unit_test(only_entries_that_went_in_hand_out_references),
		cmocka_unit_test(init_gets_the_flags_that_the_kernel_offered),
		cmocka_unit_test(a_tmpfile_becomes_a_create),
		cmocka_unit_test(a_statx_becomes_a_getattr),
		cmocka_unit_test(kill_flags_are_seen_and_setxattr_is_cut_down),
		cmocka_unit_test(short_requests_are_left_alone),
	};

	return cmocka_run_group_tests_name("fuse", tests, NULL, NULL);
}
