/*
 * profile.h - the parameters that make a DAG's CIDs reproducible
 *
 * Two named profiles of IPIP-499 for `publish`, and the one of sealed drives
 * (docs/format.md section 3).  A profile is a constant; tests make others.
 *
 *   parameter            sealed        unixfs-v1-2025   unixfs-v0-2015
 *   CID version          1             1                0
 *   leaves               raw           raw              dag-pb File
 *   chunk, bytes         1048576       1048576          262144
 *   links of a file node 1024          1024             174
 *   basic directory up   16384 encoded 262144 encoded   262144 names + CIDs
 *     to, bytes          bytes (1)     bytes
 *   HAMT fanout          256           256              256
 *   extension fields     yes           no               no
 *
 * (1) without the place hints, so that compaction never changes the shape.
 */
#ifndef DAG_PROFILE_H
#define DAG_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "dag/cid.h"

#define DAG_NODE_MAX (2u << 20) /* bytes of one block; gateways refuse more */

enum dag_dir_size {
	DAG_DIR_BLOCK_BYTES, /* the basic node as it would be encoded */
	DAG_DIR_LINK_BYTES   /* sum of name and CID lengths */
};

struct dag_profile {
	const char *name;
	bool sealed; /* keys, places, holes and attributes in the nodes */
	uint8_t cid_version; /* 0 demands sha2-256 and dag-pb leaves */
	bool raw_leaves;
	uint64_t hash; /* multihash code: sha2-256, or blake2b-256 (plain only) */
	uint32_t chunk_bytes;
	uint32_t file_links;
	enum dag_dir_size dir_size;
	uint8_t fanout_bits;    /* of a HAMT: 8; readers take 4 to 10 */
	uint32_t dir_basic_max; /* bytes; a larger directory is sharded */
};

extern const struct dag_profile dag_profile_sealed;
extern const struct dag_profile dag_profile_v1_2025;
extern const struct dag_profile dag_profile_v0_2015;

struct link;

/*
 * The CID that stands in a dag-pb link for `l`: codec and digest under the
 * profile's CID version and hash, or the identity CID.  `l` is not LINK_NONE.
 */
void dag_link_cid(const struct dag_profile *p, const struct link *l,
		  struct cid *ret);

#endif
