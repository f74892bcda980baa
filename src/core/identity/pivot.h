/* What is known of a person: the pivot identity of citizens, the claims of agents; which scope
 * gives which claim; and the sub that is computed from the pivot (docs/formats/sub.md). */
#ifndef IDENTITY_PIVOT_H
#define IDENTITY_PIVOT_H

#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"

/* Takes the known claims out of what a provider answered and checks their form. Citizens: all of
 * the pivot is needed (given_name, family_name, birthdate, gender, birthcountry; birthplace where
 * the country is France). Agents: given_name, usual_name, email, uid, siret. ERR_INVALID and the
 * claim at fault in *why. The caller owns *out. */
enum err pivot_read(const json_t *claims, json_t **out, const char **why) MUST_CHECK;
enum err agent_read(const json_t *claims, json_t **out, const char **why) MUST_CHECK;

/* "1988-04-12"; "1988-04-00" and "1988-00-00" for those whose day or month nobody knows. */
bool birthdate_is_valid(struct str s);
bool siret_is_valid(struct str s);

/* The part of the claims that is the pivot identity and nothing else; caller owns it. */
json_t *pivot_only(const json_t *claims);

/* base64(SHA-256(given_name family_name birthdate gender [birthplace] birthcountry)). */
struct str pivot_hash(struct arena *a, const json_t *claims);

/* ---- claims and scopes --------------------------------------------------------------------------
 */
struct claim_def {
    const char *name;   /* also the scope that asks for this claim alone */
    const char *scopes; /* wider scopes that bring it */
    bool label;         /* shown on the consent page: text "claim.<name>" */
};
const struct claim_def *claim_at(size_t i); /* NULL at the end */
bool scope_is_known(struct str scope);      /* openid, profile ... or a claim */

/* Names of the claims these scopes bring, blank-separated, in the table's order. */
struct str claims_of_scopes(struct arena *a, struct str scopes, struct str more_claims);
/* Of `all`, those named in the list; the caller owns the result. */
json_t *claims_pick(const json_t *all, struct str names);

#endif
