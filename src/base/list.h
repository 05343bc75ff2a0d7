/*
 * list.h - intrusive, doubly linked, circular
 *
 *   struct list head;              list_init(&head);
 *   struct op { struct list node; } list_push(&head, &op->node);
 *
 * A node that is in no list has been list_init()ed or list_del()ed.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "base/util.h"

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* Append at the tail. */
static inline void list_push(struct list *head, struct list *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}

/* Insert at the front. */
static inline void list_push_front(struct list *head, struct list *n)
{
	list_push(head->next, n);
}

static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

/* Move all of `from` to the tail of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_first(head, type, member) container_of((head)->next, type, member)

#define list_foreach(pos, head) \
 for (struct list *pos = (head)->next; pos != (head); pos = pos->next)

#define list_foreach_safe(pos, head)                                           \
 for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head); \
      pos = pos##_next, pos##_next = pos->next)

#endif
