/* fuzz_marker.c - the marker of a dir store, which anybody may have written */
#include <assert.h>
#include <errno.h>

#include "provider/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t id[PROVIDER_ID_SIZE], again[PROVIDER_ID_SIZE];
	char text[DIR_MARKER_SIZE];
	int r;

	r = dir_marker_parse(slice(data, size), id);
	assert(r == 0 || r == -EUCLEAN);
	if (r < 0)
		return 0;
	dir_marker_text(id, text);
	r = dir_marker_parse(slice(text, sizeof(text)), again);
	assert(r == 0);
	assert(slice_eq(slice(id, sizeof(id)), slice(again, sizeof(again))));
	assert(size >= sizeof(text) - 1);
	assert(slice_eq(slice(data, sizeof(text) - 1),
			slice(text, sizeof(text) - 1)));
	return 0;
}
