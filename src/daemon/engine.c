#include "daemon/engine.h"

const struct engine_ops *engine_default(void)
{
	return NULL;
}
