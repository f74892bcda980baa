#include "base/err.h"

const char *err_name(enum err e)
{
    static const char *const names[ERR_COUNT] = {
        [ERR_OK] = "ok",
        [ERR_INVALID] = "invalid",
        [ERR_NOT_FOUND] = "not_found",
        [ERR_EXISTS] = "exists",
        [ERR_DENIED] = "denied",
        [ERR_LIMIT] = "limit",
        [ERR_TIMEOUT] = "timeout",
        [ERR_UNAVAILABLE] = "unavailable",
        [ERR_CONFLICT] = "conflict",
        [ERR_IO] = "io",
        [ERR_FULL] = "full",
        [ERR_CORRUPT] = "corrupt",
        [ERR_AGAIN] = "again",
        [ERR_INTERNAL] = "internal",
    };
    return (unsigned)e < ERR_COUNT && names[e] ? names[e] : "unknown";
}
