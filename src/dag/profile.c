#include "dag/profile.h"

#include "crypto/link.h"

const struct dag_profile dag_profile_sealed = {
	.name = "sealed",
	.sealed = true,
	.cid_version = 1,
	.raw_leaves = true,
	.hash = CID_SHA2_256,
	.chunk_bytes = 1u << 20,
	.file_links = 1024,
	.dir_size = DAG_DIR_BLOCK_BYTES,
	.fanout_bits = 8,
	.dir_basic_max = 16u << 10,
};

const struct dag_profile dag_profile_v1_2025 = {
	.name = "unixfs-v1-2025",
	.cid_version = 1,
	.raw_leaves = true,
	.hash = CID_SHA2_256,
	.chunk_bytes = 1u << 20,
	.file_links = 1024,
	.dir_size = DAG_DIR_BLOCK_BYTES,
	.fanout_bits = 8,
	.dir_basic_max = 256u << 10,
};

const struct dag_profile dag_profile_v0_2015 = {
	.name = "unixfs-v0-2015",
	.cid_version = 0,
	.raw_leaves = false,
	.hash = CID_SHA2_256,
	.chunk_bytes = 256u << 10,
	.file_links = 174,
	.dir_size = DAG_DIR_LINK_BYTES,
	.fanout_bits = 8,
	.dir_basic_max = 256u << 10,
};

void dag_link_cid(const struct dag_profile *p, const struct link *l, struct cid *ret)
{
	if (l->kind == LINK_IDENTITY) {
		*ret = cid_identity(l->codec, slice(l->bytes, l->n_inline));
		return;
	}
	*ret = cid_v1(l->codec, l->digest);
	ret->hash = p->hash;
	if (p->cid_version == 0 && l->codec == LINK_DAGPB && p->hash == CID_SHA2_256)
		ret->version = 0;
}
