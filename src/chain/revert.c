#include "chain/revert.h"

#include <stdio.h>

#include "chain/abi.h"
#include "chain/amount.h"
#include "chain/revert_table.h"

#define ARGUMENTS_MAX 5
#define VALUE_MAX     128  /* bytes of text of one argument */
#define DATA_MAX      4096 /* bytes of revert data in a text */
#define SELECTOR_SIZE 4

/* An argument as text; sums of money in both spellings. */
struct argument {
	struct slice name;
	char text[VALUE_MAX];
	char money[AMOUNT_TEXT_MAX];
};

/* Human text that grows in a fixed place. */
struct line {
	char *p;
	size_t n;
	size_t max; /* with the NUL */
};

static void put_char(struct line *l, uint8_t c)
{
	if (l->n + 1 >= l->max)
		return;
	l->p[l->n++] = (char)(c >= ' ' && c <= '~' ? c : '?');
	l->p[l->n] = '\0';
}

static void put_slice(struct line *l, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		put_char(l, s.p[i]);
}

static void put_text(struct line *l, const char *s)
{
	put_slice(l, slice_str(s));
}

static struct line line_of(char *p, size_t max)
{
	p[0] = '\0';
	return (struct line){ p, 0, max };
}

/* The next "type name" of a signature; false at its end. */
static bool next_parameter(const char **at, struct slice *ret_type,
			   struct slice *ret_name)
{
	const char *p = *at, *end;

	p += strspn(p, "(, ");
	if (!*p || *p == ')')
		return false;
	end = p + strcspn(p, ",)");
	*ret_type = slice(p, strcspn(p, " ,)"));
	p += ret_type->n;
	p += *p == ' ';
	*ret_name = slice(p, (size_t)(end - p));
	*at = end;
	return true;
}

static void read_argument(struct abi_in *in, struct slice type, struct argument *a)
{
	struct line l = line_of(a->text, sizeof(a->text));
	uint8_t word[ABI_WORD];
	struct u256 v;

	a->money[0] = '\0';
	if (slice_eq(type, slice_str("string"))) {
		put_slice(&l, abi_get_string(in));
	} else if (slice_eq(type, slice_str("address"))) {
		address_text(abi_get_address(in), a->text);
	} else if (slice_eq(type, slice_str("bool"))) {
		put_text(&l, abi_get_bool(in) ? "true" : "false");
	} else if (slice_eq(type, slice_str("bytes32"))) {
		static const char digits[] = "0123456789abcdef";

		abi_get_bytes32(in, word);
		put_text(&l, "0x");
		for (size_t i = 0; i < sizeof(word); i++) {
			put_char(&l, (uint8_t)digits[word[i] >> 4]);
			put_char(&l, (uint8_t)digits[word[i] & 15]);
		}
	} else { /* uint256, uint8 */
		v = abi_get_u256(in);
		u256_text(v, a->text);
		amount_text(v, a->money);
	}
}

/* How many there are, or -EPROTO if the bytes are not theirs. */
static int read_arguments(struct slice data, const char *signature,
			  struct argument ret[static ARGUMENTS_MAX])
{
	const char *at = signature + strcspn(signature, "(");
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, data);
	struct slice type, name;
	int n = 0, r;

	while (n < ARGUMENTS_MAX && next_parameter(&at, &type, &name)) {
		ret[n].name = name;
		read_argument(&in, type, &ret[n++]);
	}
	r = abi_close(&doc);
	return r < 0 ? r : n;
}

/* {n} and {n$} are replaced; the table is tested to name what there is. */
static void put_sentence(struct line *l, const char *sentence,
			 const struct argument *args, int n)
{
	for (const char *p = sentence; *p; p++) {
		int i = p[0] == '{' ? p[1] - '0' : -1;

		if (i < 0 || i >= n) {
			put_char(l, (uint8_t)*p);
			continue;
		}
		put_text(l, p[2] == '$' ? args[i].money : args[i].text);
		p = strchr(p, '}');
	}
}

static void put_plain(struct line *l, struct slice name,
		      const struct argument *args, int n)
{
	put_text(l, "the contract refused: ");
	put_slice(l, name);
	for (int i = 0; i < n; i++) {
		put_text(l, i ? ", " : " (");
		put_slice(l, args[i].name);
		put_char(l, ' ');
		put_text(l, args[i].text);
	}
	if (n > 0)
		put_char(l, ')');
}

static void unknown(struct slice data, struct revert *ret)
{
	if (data.n < SELECTOR_SIZE)
		(void)snprintf(ret->text, sizeof(ret->text),
			       "the contract refused and gave no reason");
	else
		(void)snprintf(ret->text, sizeof(ret->text),
			       "the contract refused with an error that is not known here: 0x%02x%02x%02x%02x",
			       data.p[0], data.p[1], data.p[2], data.p[3]);
}

/* OpenZeppelin and the contracts themselves use strings in places. */
static enum revert_kind kind_of_reason(const char *reason)
{
	if (strstr(reason, "insufficient funds") ||
	    strstr(reason, "exceeds balance"))
		return REVERT_FUNDS;
	if (strstr(reason, "not live"))
		return REVERT_ENDED;
	return REVERT_OTHER;
}

static const struct revert_row *look_up(struct slice data)
{
	uint32_t selector = 0;

	if (data.n < SELECTOR_SIZE)
		return NULL;
	for (size_t i = 0; i < SELECTOR_SIZE; i++)
		selector = selector << 8 | data.p[i];
	for (const struct revert_row *row = revert_table; row->signature; row++)
		if (row->selector == selector)
			return row;
	return NULL;
}

void revert_read(struct slice data, struct revert *ret)
{
	const struct revert_row *row = look_up(data);
	struct argument args[ARGUMENTS_MAX];
	struct line l;
	int n;

	*ret = (struct revert){ .kind = REVERT_OTHER };
	if (!row) {
		unknown(data, ret);
		return;
	}
	ret->kind = row->kind;
	l = line_of(ret->name, sizeof(ret->name));
	put_slice(&l, slice(row->signature, strcspn(row->signature, "(")));
	l = line_of(ret->text, sizeof(ret->text));
	n = read_arguments(slice(data.p + SELECTOR_SIZE, data.n - SELECTOR_SIZE),
			   row->signature, args);
	if (n >= 0 && row->sentence)
		put_sentence(&l, row->sentence, args, n);
	else
		put_plain(&l, slice_str(ret->name), args, n);
	if (n == 1 && strcmp(ret->name, "Error") == 0)
		ret->kind = kind_of_reason(args[0].text);
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "0x…" at the start of `text`; the number of bytes, 0 if it is none. */
static size_t take_hex(struct slice text, uint8_t ret[static DATA_MAX])
{
	size_t n = 0;

	if (text.n < 2 || text.p[0] != '0' || text.p[1] != 'x')
		return 0;
	for (size_t i = 2; i + 1 < text.n && n < DATA_MAX; i += 2) {
		int high = digit(text.p[i]), low = digit(text.p[i + 1]);

		if (high < 0 || low < 0)
			break;
		ret[n++] = (uint8_t)(high << 4 | low);
	}
	return n;
}

/* What stands behind `mark`; empty if it is not there. */
static struct slice behind(struct slice text, const char *mark)
{
	size_t n = strlen(mark);
	const uint8_t *at = text.n ? memmem(text.p, text.n, mark, n) : NULL;

	if (!at)
		return SLICE_NONE;
	at += n;
	return slice(at, text.n - (size_t)(at - text.p));
}

/* Lotus has already opened it: "Error(the reason)". */
static bool read_opened(struct slice text, struct revert *ret)
{
	static const char start[] = "Error(";
	struct line l = line_of(ret->text, sizeof(ret->text));
	const uint8_t *end;

	if (text.n < sizeof(start) || memcmp(text.p, start, sizeof(start) - 1) != 0)
		return false;
	text = slice(text.p + sizeof(start) - 1, text.n - (sizeof(start) - 1));
	end = memmem(text.p, text.n, ")]", 2);
	if (end)
		text.n = (size_t)(end - text.p);
	put_text(&l, "the contract says: ");
	put_slice(&l, text);
	text_copy(ret->name, sizeof(ret->name), "Error");
	ret->kind = kind_of_reason(ret->text);
	return true;
}

bool revert_read_text(struct slice text, struct revert *ret)
{
	static const char *const marks[] = { "vm error=[", "revert reason=[" };
	uint8_t data[DATA_MAX];

	*ret = (struct revert){ .kind = REVERT_OTHER };
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		struct slice s = behind(text, marks[i]);
		size_t n = take_hex(s, data);

		if (n >= SELECTOR_SIZE) {
			revert_read(slice(data, n), ret);
			return true;
		}
		if (read_opened(s, ret))
			return true;
	}
	unknown(SLICE_NONE, ret);
	return false;
}
