#include "daemon/newdrive.h"

#include <errno.h>

#include "base/err.h"
#include "daemon/cli.h"
#include "daemon/config.h"
#include "daemon/paystore.h"

int newdrive_config(const struct cli *cli, struct config *ret, struct err *why)
{
	static const struct {
		const char *option, *key;
	} map[] = {
		{ "store", "store" },           { "copies", "copies" },
		{ "cache-size", "cache_size" }, { "budget", "budget" },
		{ "payer", "payer" },
	};
	int r;

	config_init(ret);
	for (size_t i = 0; i < ARRAY_LEN(map); i++) {
		const struct cli_value *v = cli_value(cli, map[i].option);

		for (int j = 0; j < v->n; j++) {
			r = config_set(ret, map[i].key, v->v[j], why);
			if (r < 0)
				return r;
		}
	}
	if (ret->n_stores == 0)
		return err_set(why, -EINVAL,
			       "a drive needs a store: --store dir:///path/on/another/disk, or filecoin://mainnet");
	if (!cli_get(cli, "copies") && paystore_copies(ret))
		ret->copies = paystore_copies(ret); /* what the URL says */
	return config_check(ret, why);
}
