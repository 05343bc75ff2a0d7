/* pdp_attach.c - is the slot fit for work?  What is missing is said in words */
#include <errno.h>
#include <stdio.h>

#include "crypto/blake.h"
#include "provider/pdp_impl.h"

#define FIRST_LEAVES 32768 /* of a first MiB: what a new slot must afford */

/* Network, payer, drive and the data set's own number: they outlive the ledger. */
void pdp_ident(const struct pdp *d, const struct pdp_slot *s,
	       uint8_t ret[static PROVIDER_ID_SIZE])
{
	uint8_t all[8 + ADDRESS_SIZE + KEYS_DRIVE_ID_SIZE + 32];

	put_le64(all, d->chain_id);
	memcpy(all + 8, d->payer.b, ADDRESS_SIZE);
	memcpy(all + 8 + ADDRESS_SIZE, d->drive_id, KEYS_DRIVE_ID_SIZE);
	u256_to_be(s->client, all + 8 + ADDRESS_SIZE + KEYS_DRIVE_ID_SIZE);
	blake_once(slice(all, sizeof(all)), ret, PROVIDER_ID_SIZE);
}

/* Is it the store that it was? */
static int identify(struct pdp_job *j, const struct pdp_slot *s)
{
	uint8_t id[PROVIDER_ID_SIZE];
	struct pdp *d = j->d;
	bool same;

	pdp_ident(d, s, id);
	lock_take(&d->lock);
	if (!d->ident_known)
		memcpy(d->ident, id, sizeof(id));
	d->ident_known = true;
	same = memcmp(d->ident, id, sizeof(id)) == 0;
	lock_drop(&d->lock);
	if (same)
		return 0;
	return err_set(&j->req->err, -EREMOTEIO,
		       "%s: the data set found is another than the one this drive used",
		       d->name);
}

/* The data set as the chain knows it: it goes on, with the one we chose. */
static int check_set(struct pdp_job *j, const struct pdp_slot *s)
{
	struct view_data_set v;
	struct err e = { 0 };
	int r;

	r = foc_data_set(j->foc, s->data_set, &v, &e);
	if (r == -ENOENT)
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: data set %llu at %s is gone", j->d->name,
			       (unsigned long long)s->data_set, s->name);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	pdp_alive(j);
	if (!u256_eq(v.client_data_set_id, s->client) ||
	    !address_eq(v.payer, j->d->payer))
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: data set %llu is not ours", j->d->name,
			       (unsigned long long)s->data_set);
	if (v.pdp_end_epoch && j->d->p.session)
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: %s ended the service of data set %llu with epoch %llu",
			       j->d->name, s->name, (unsigned long long)s->data_set,
			       (unsigned long long)v.pdp_end_epoch);
	return 0;
}

/* Is an add under way that has this provider's address in it? */
static int on_add(void *ctx, struct pdp_add *a)
{
	bool *open = ctx;

	*open |= a->state != PDP_ADD_DEAD;
	return 0;
}

/*
 * A provider that was chosen and does not answer any more is no loss as long as
 * nothing was signed for it.
 */
static int choose_again(struct pdp_job *j, struct pdp_slot *s)
{
	struct pdp_slot other;
	bool open = false;
	int r;

	r = pdp_adds(j->d, on_add, &open);
	if (r < 0 || open || s->data_set)
		return r < 0 ? r : -EREMOTEIO;
	pdp_group_shun(j->d->p.group, s->provider); /* for this run */
	r = pdp_choose(j, &other);
	if (r == 0)
		*s = other;
	return r;
}

static int ping(struct pdp_job *j, const struct pdp_slot *s)
{
	int r;

	r = pdp_open_url(j, s->url);
	if (r == 0)
		r = curio_ping(j->curio, &j->op);
	if (r == 0)
		pdp_alive(j);
	lock_take(&j->d->lock);
	j->d->mute_until_ms = r == 0 || r == -ECANCELED || j->d->p.session ?
				      0 :
				      monotonic_ms() + PDP_MUTE_MS;
	lock_drop(&j->d->lock);
	return r;
}

static int find_slot(struct pdp_job *j, struct pdp_slot *s)
{
	struct pdp *d = j->d;
	bool is_new = !s->chosen;
	int r = 0;

	if (is_new)
		r = pdp_choose(j, s);
	if (r == 0 && s->data_set)
		r = check_set(j, s);
	if (r < 0)
		return r;
	r = ping(j, s);
	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	if (r < 0) {
		is_new = choose_again(j, s) == 0;
		if (!is_new) {
			j->req->err.text[0] = '\0';
			return pdp_curio_error(j, r);
		}
		j->req->err.text[0] = '\0';
	}
	r = identify(j, s);
	if (r == 0 && is_new)
		r = pdp_slot_save(d, s);
	if (r < 0)
		return r;
	lock_take(&d->lock);
	d->slot = *s;
	lock_drop(&d->lock);
	return 0;
}

/* Before there is a data set, money and permission are asked for early. */
static int check_means(struct pdp_job *j, const struct pdp_slot *s)
{
	struct cost_plan plan = { .create = true,
				  .add_leaves = FIRST_LEAVES,
				  .n_pieces = 1 };
	struct u256 fees;

	if (s->data_set)
		return 0;
	return pdp_afford(j, &plan, PDP_FRESH_MS, &fees);
}

static int attach(struct pdp_job *j)
{
	struct pdp *d = j->d;
	struct contracts_known k;
	struct pdp_slot s;
	struct err e = { 0 };
	int r;

	r = foc_contracts(j->foc, &k, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	pdp_alive(j);
	r = pdp_settle(j); /* a create may have landed, or have come undone */
	s = pdp_slot_get(d);
	if (r == 0)
		r = find_slot(j, &s);
	if (r == 0)
		r = check_means(j, &s);
	if (r < 0)
		return r;
	lock_take(&d->lock);
	d->attached_until_ms = monotonic_ms() + PDP_FRESH_MS;
	lock_drop(&d->lock);
	return 0;
}

int pdp_attach(struct pdp_job *j)
{
	struct pdp *d = j->d;
	bool fresh;
	int r = 0;

	lock_take(&d->attaching);
	lock_take(&d->lock);
	fresh = monotonic_ms() < d->attached_until_ms;
	lock_drop(&d->lock);
	if (!fresh)
		r = attach(j);
	lock_drop(&d->attaching);
	j->req->ret_free = UINT64_MAX;
	return r;
}
