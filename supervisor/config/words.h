/* "Did you mean": the known word that a mistyped one is nearest to. */
#ifndef SUPERVISOR_CONFIG_WORDS_H
#define SUPERVISOR_CONFIG_WORDS_H

#include <stddef.h>

/* How many characters must be changed, put in, left out or exchanged with
 * their neighbour to make a into b. Only the first 63 of each are looked at. */
size_t words_distance(const char *a, const char *b);

/* The nearest of known (count words), NULL when none is near enough to be meant. */
const char *words_nearest(const char *word, const char *const *known, size_t count);

#endif
