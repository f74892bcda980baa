/* Passwords, by libargon2. Each hash takes 19 MiB and some 20 ms of a core: a semaphore lets one
 * run per core and the rest wait, so that a flood of sign-ins costs time and never memory. */
#include "crypto/password.h"

#include <argon2.h>
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include "base/rand.h"
#include "crypto/evp.h"

enum { TIME_COST = 2, MEMORY_KIB = 19 * 1024, LANES = 1, SALT_LEN = 16, HASH_LEN = 32 };
enum { PHC_MAX = 256 };

/* The hash of no password: what is compared against when there is no such account. */
static const char nobody[] = "$argon2id$v=19$m=19456,t=2,p=1$c29jbGUtbm9ib2R5LS0tLQ"
                             "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static sem_t cores;
static pthread_once_t cores_once = PTHREAD_ONCE_INIT;

static void cores_start(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    sem_init(&cores, 0, (unsigned)n);
}

static void core_take(void)
{
    pthread_once(&cores_once, cores_start);
    while (sem_wait(&cores) != 0 && errno == EINTR)
        ;
}

struct str password_hash(struct arena *a, struct str password)
{
    uint8_t salt[SALT_LEN];
    char phc[PHC_MAX];
    assert(password.n <= PASSWORD_BYTES_MAX);
    rand_bytes(salt, sizeof salt);
    core_take();
    int rc = argon2id_hash_encoded(TIME_COST, MEMORY_KIB, LANES, password.p, password.n, salt,
                                   sizeof salt, HASH_LEN, phc, sizeof phc);
    sem_post(&cores);
    evp_must(rc == ARGON2_OK, "argon2");
    return arena_dup(a, str_from(phc));
}

bool password_matches(struct str phc, struct str password)
{
    char z[PHC_MAX];
    bool known = phc.p && phc.n < sizeof z && !memchr(phc.p, '\0', phc.n) &&
                 password.n <= PASSWORD_BYTES_MAX;
    struct str against = known ? phc : str_from(nobody);
    if (password.n > PASSWORD_BYTES_MAX)
        password = STR_NONE;
    memcpy(z, against.p, against.n);
    z[against.n] = '\0';
    core_take();
    int rc = argon2id_verify(z, password.p, password.n);
    sem_post(&cores);
    return known && rc == ARGON2_OK;
}
