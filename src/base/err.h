/* Every way a call can end. 0 is good; a library returns, the boundary logs once and answers. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err {
    ERR_OK = 0,
    ERR_INVALID,     /* the caller's data breaks a rule of its format */
    ERR_NOT_FOUND,   /* no such thing */
    ERR_EXISTS,      /* already there: a uniqueness rule would break */
    ERR_DENIED,      /* known, and not allowed */
    ERR_LIMIT,       /* over a ceiling (size, count, rate, depth) */
    ERR_TIMEOUT,     /* the other side did not answer in time */
    ERR_UNAVAILABLE, /* the other side is down; trying later may help */
    ERR_CONFLICT,    /* somebody else changed it first; reading again may help */
    ERR_IO,          /* the operating system refused a read or a write */
    ERR_FULL,        /* no space left where it must be stored */
    ERR_CORRUPT,     /* what was stored is not what was written */
    ERR_AGAIN,       /* nothing yet: call again when woken */
    ERR_INTERNAL,    /* none of the above: a fault of ours */
    ERR_COUNT
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* A short lower-case name ("not_found"), static; never NULL. */
const char *err_name(enum err e);

#endif
