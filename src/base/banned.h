/* Functions that have hurt others, made compile errors. Forced into every file by the Makefile,
 * after the system's headers that declare them. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* clang's fortified headers make macros of some. */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strncpy
#undef strncat
#pragma GCC poison strcpy strcat sprintf vsprintf gets atoi atol atof strtok strncpy strncat
#pragma GCC poison gmtime localtime ctime asctime tmpnam tempnam mktemp srand
/* OpenSSL's headers have parameters of this name, so only a call is an error. */
#define rand() banned_use_rand_bytes()
#endif
