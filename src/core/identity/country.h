/* Countries as the pivot identity names them. */
#ifndef IDENTITY_COUNTRY_H
#define IDENTITY_COUNTRY_H

#include "base/arena.h"

/* "DE" -> "99109"; .p NULL: no such country today. */
struct str country_cog(struct arena *a, struct str iso);

#endif
