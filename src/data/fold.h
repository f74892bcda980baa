/* Text folded for searching: what people type without accents finds what is written with them. */
#ifndef DATA_FOLD_H
#define DATA_FOLD_H

#include "base/arena.h"

/* Lower case ASCII letters and digits, one space between words; Latin diacritics and ligatures
 * become their letters; everything else separates words. "L'Haÿ-les-Roses" gives "l hay les roses".
 */
struct str text_fold(struct arena *a, struct str utf8);

/* How many slips of the finger lie between two folded words: letters left out, added, changed, or
 * swapped with their neighbour (optimal string alignment). Stops counting over `most`: most + 1
 * then, and for words of more than TEXT_DISTANCE_MAX bytes. */
enum { TEXT_DISTANCE_MAX = 64 };
int text_distance(struct str a, struct str b, int most);

#endif
