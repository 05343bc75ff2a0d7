/* verb_config.c - fildrive config: show and set what stands in the config */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/paystore.h"
#include "daemon/stores.h"
#include "daemon/verbs.h"

static const struct cli_option options[] = {
	CLI_DRIVE,
	{ "remove", 0, false, NULL, "with store URL: this store is no longer one" },
	CLI_END,
};

static int show_one(const struct config *c, size_t i, bool bare)
{
	_cleanup_buf_ struct buf text = { 0 };
	int r;

	buf_init(&text, CONFIG_FILE_MAX);
	r = config_get(c, i, &text);
	if (r == 0)
		r = buf_u8(&text, '\0');
	if (r < 0)
		return exits_err(r, NULL, "config");
	if (bare)
		exits_out("%s\n", (const char *)text.p);
	else
		exits_out("%-16s %-12s  # %s\n", config_key(i),
			  (const char *)text.p, config_help(i));
	return EXITS_OK;
}

static int show(const struct config *c, const char *key)
{
	for (size_t i = 0; config_key(i); i++) {
		if (key && strcmp(config_key(i), key) != 0)
			continue;
		if (!key && strcmp(config_key(i), "store") == 0) {
			for (uint64_t s = 0; s < c->n_stores; s++)
				exits_out("%-16s %s\n", "store", c->stores[s]);
			continue;
		}
		if (show_one(c, i, key != NULL))
			return EXITS_GENERIC;
		if (key)
			return EXITS_OK;
	}
	if (!key)
		return EXITS_OK;
	return exits_say(EXITS_USAGE,
			 "no key '%s' in the config; fildrive config lists them",
			 key);
}

static int remove_store(struct config *c, const char *url, struct err *why)
{
	for (uint64_t i = 0; i < c->n_stores; i++) {
		if (strcmp(c->stores[i], url) != 0)
			continue;
		c->n_stores--;
		memmove(c->stores[i], c->stores[i + 1],
			(c->n_stores - i) * sizeof(c->stores[0]));
		return c->n_stores ?
			       0 :
			       err_set(why, -EINVAL,
				       "a drive needs a store: add another one first");
	}
	return err_set(why, -ENOENT, "no store %.128s", url);
}

static int set(struct drive *d, const struct cli *cli)
{
	_cleanup_free_ struct config *c = malloc(sizeof(*c));
	const char *key = cli->args[0], *value = cli->args[1];
	struct err why = { "" };
	int r;

	if (!c)
		return exits_err(-ENOMEM, NULL, "config");
	*c = d->config;
	if (!cli_flag(cli, "remove"))
		r = config_set(c, key, value, &why);
	else if (strcmp(key, "store") == 0)
		r = remove_store(c, value, &why);
	else
		return exits_say(EXITS_USAGE, "config: --remove is for store URL");
	if (r == 0)
		r = config_check(c, &why);
	if (r == 0)
		r = stores_check(c, d->dir, &why);
	if (r < 0)
		return exits_say(EXITS_CONFIG, "%s", why.text);
	r = drive_replace_config(d, c);
	if (r < 0)
		return exits_err(r, NULL, "writing the config");
	if (paystore_copies(c) && address_is_none(c->payer))
		exits_out("Storing there costs money: fildrive quote says how much, fildrive wallet what pays.\n");
	if (drive_lock_holder(d))
		exits_out("From the next mount on; the drive is in use now.\n");
	return EXITS_OK;
}

static int run(const struct cli *cli)
{
	_cleanup_drive_ struct drive *d = NULL;
	int r = verbs_open(cli, &d);

	if (r)
		return r;
	if (cli->n_args < 2)
		return show(&d->config, cli->args[0]);
	return set(d, cli);
}

const struct cli_verb verb_config = {
	.name = "config",
	.args = "[KEY [VALUE]]",
	.max_args = 2,
	.summary = "show or set what stands in a drive's config",
	.details = "`config store URL` adds a store; the others have one value. What is set\n"
		   "holds from the next mount on.",
	.options = options,
	.run = run,
};
