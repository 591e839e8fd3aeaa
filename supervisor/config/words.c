#include "supervisor/config/words.h"

#include <string.h>

#define WORD_SIZE 64

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t words_distance(const char *a, const char *b)
{
    size_t n = strnlen(a, WORD_SIZE - 1);
    size_t m = strnlen(b, WORD_SIZE - 1);
    size_t d[WORD_SIZE][WORD_SIZE]; /* d[i][k]: between the first i of a and the first k of b. */

    for (size_t i = 0; i <= n; i++) {
        d[i][0] = i;
    }
    for (size_t k = 0; k <= m; k++) {
        d[0][k] = k;
    }
    for (size_t i = 1; i <= n; i++) {
        for (size_t k = 1; k <= m; k++) {
            d[i][k] = least(least(d[i - 1][k], d[i][k - 1]) + 1, d[i - 1][k - 1] + (a[i - 1] != b[k - 1]));
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1]) {
                d[i][k] = least(d[i][k], d[i - 2][k - 2] + 1);
            }
        }
    }
    return d[n][m];
}

const char *words_nearest(const char *word, const char *const *known, size_t count)
{
    /* One slip in a short word, up to three in a long one. */
    size_t fewest = least(strlen(word) / 3 + 1, 3) + 1;
    const char *best = NULL;

    for (size_t i = 0; i < count; i++) {
        size_t edits = words_distance(word, known[i]);
        if (edits < fewest) {
            fewest = edits;
            best = known[i];
        }
    }
    return best;
}
