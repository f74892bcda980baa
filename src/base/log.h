/* One JSON object a line on standard error: when, level, process, event, then key/value pairs.
 * Never a secret, never a personal value: identifiers only. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level least);
void log_set_process(const char *static_name);

/* Pairs of const char * key, const char * value, ended by a NULL key. A NULL value is "". Use
 * LOG_NUM for numbers. A value is cut at 1 KB; a line is one JSON object of at most 4 KB, and pairs
 * that do not fit are left out ("cut":true says so). Safe from every thread. */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));
#define log_debug(...) log_event(LOG_DEBUG, __VA_ARGS__, (char *)NULL)
#define log_info(...)  log_event(LOG_INFO, __VA_ARGS__, (char *)NULL)
#define log_warn(...)  log_event(LOG_WARN, __VA_ARGS__, (char *)NULL)
#define log_error(...) log_event(LOG_ERROR, __VA_ARGS__, (char *)NULL)

/* A number as text, good until the end of the full expression's block. */
#define LOG_NUM(v) (log_num((char[24]){0}, (long long)(v)))
const char *log_num(char out[24], long long v);

#endif
