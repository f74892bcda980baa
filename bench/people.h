/* People who do not exist, by number: the same in the database and at the provider upstream. */
#ifndef BENCH_PEOPLE_H
#define BENCH_PEOPLE_H

#include "core/identity/pivot.h"

static inline json_t *people_claims(struct arena *a, uint64_t i)
{
    static const char *const given[] = {"Camille", "Louise", "Gabriel", "Jade",
                                        "Arthur",  "Emma",   "Raphaël", "Alice"};
    return json_pack("{s:s,s:[s],s:s,s:s,s:s,s:s,s:s}", "given_name", given[i % 8],
                     "given_name_array", given[i % 8], "family_name",
                     arena_printf(a, "MARTIN-%llu", (unsigned long long)i).p, "birthdate",
                     arena_printf(a, "%04u-%02u-%02u", (unsigned)(1930 + i / 336 % 80),
                                  (unsigned)(1 + i / 28 % 12), (unsigned)(1 + i % 28))
                         .p,
                     "gender", i & 1 ? "male" : "female", "birthplace", "75107", "birthcountry",
                     "99100");
}

static inline struct str people_sub(struct arena *a, uint64_t i)
{
    return arena_printf(a, "personne-%llu", (unsigned long long)i);
}

#endif
