/*
 * A small program that leaks, for `make demo`: a library that lends books.
 *
 * Three leaks are hidden here, each of a usual kind:
 *   - a list is freed, the names its entries point to are not;
 *   - an early return forgets a buffer;
 *   - a grown array is replaced without freeing the old one.
 * Everything else is freed as it should be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct loan {
	struct loan *next;
	char *reader;
	char *title;
};

static struct loan *loan_add(struct loan *loans, const char *reader, const char *title)
{
	struct loan *loan = malloc(sizeof(*loan));

	if (!loan)
		exit(1);
	loan->next = loans;
	loan->reader = strdup(reader);
	loan->title = strdup(title);
	return loan;
}

static void loans_free(struct loan *loans)
{
	while (loans) {
		struct loan *next = loans->next;

		free(loans->title); /* and loan->reader? */
		free(loans);
		loans = next;
	}
}

static int check_card(int number)
{
	char *card = malloc(256);

	if (!card)
		exit(1);
	snprintf(card, 256, "card %d", number);
	if (number % 10 == 0)
		return -1; /* and card? */
	free(card);
	return 0;
}

static int *grow(int *shelf, int from, int to)
{
	int *grown = calloc(to, sizeof(*grown));

	if (!grown)
		exit(1);
	if (shelf)
		memcpy(grown, shelf, from * sizeof(*shelf));
	return grown; /* and shelf? */
}

int main(void)
{
	struct loan *loans = NULL;
	int *shelf = NULL;
	int refused = 0;
	char reader[32];

	for (int i = 1; i <= 100; i++) {
		snprintf(reader, sizeof(reader), "reader number %d", i);
		if (check_card(i))
			refused++;
		else
			loans = loan_add(loans, reader, "The Art of Forgetting");
	}
	for (int size = 16; size <= 1024; size *= 2)
		shelf = grow(shelf, size / 2, size);
	fprintf(stderr, "%d readers without a valid card\n", refused);
	free(shelf);
	loans_free(loans);
	return 0;
}
