/* The cheapest identity provider there can be, for measuring who asks it: discovery, keys, token
 * and signed userinfo, all of it right and nothing kept. The code is the request's nonce, and
 * chooses who signs in.
 *
 *   upstream FOLDER PORT CLIENT_ID PEOPLE */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "bench/people.h"
#include "crypto/keys.h"
#include "data/json.h"
#include "web/form.h"
#include "web/server.h"

static struct {
    struct keys *keys;
    const char *issuer, *client;
    uint64_t people;
} opt;

static void json(struct web_request *rq, struct web_response *rs, json_t *v)
{
    web_header(rs, "Content-Type", STR("application/json"));
    buf_add_str(&rs->body, json_text(rq->arena, v));
    json_decref(v);
}

static void discovery(struct web_request *rq, struct web_response *rs)
{
    struct arena *a = rq->arena;
    const char *is = opt.issuer;
    json(rq, rs,
         json_pack("{s:s,s:s,s:s,s:s,s:s,s:[s],s:[s],s:[s],s:[s],s:b}", "issuer", is,
                   "authorization_endpoint", arena_printf(a, "%s/authorize", is).p,
                   "token_endpoint", arena_printf(a, "%s/token", is).p, "userinfo_endpoint",
                   arena_printf(a, "%s/userinfo", is).p, "jwks_uri",
                   arena_printf(a, "%s/jwks", is).p, "response_types_supported", "code",
                   "subject_types_supported", "public", "id_token_signing_alg_values_supported",
                   "ES256", "userinfo_signing_alg_values_supported", "ES256",
                   "authorization_response_iss_parameter_supported", 1));
}

static struct str jwt(struct arena *a, json_t *v)
{
    struct str out = STR("");
    int64_t now_s = clock_now_ms() / 1000;
    json_object_set_new(v, "iss", json_string(opt.issuer));
    json_object_set_new(v, "aud", json_string(opt.client));
    json_object_set_new(v, "iat", json_integer(now_s));
    json_object_set_new(v, "exp", json_integer(now_s + 60));
    if (keys_sign_jws(opt.keys, "issuer", JOSE_ES256, "JWT", json_text(a, v), a, &out) != ERR_OK)
        out = STR("");
    json_decref(v);
    return out;
}

static void token(struct web_request *rq, struct web_response *rs)
{
    struct form f;
    if (form_read(rq->arena, rq->body, &f) != ERR_OK || !form_get(&f, "code").n) {
        rs->status = 400;
        return;
    }
    struct str code = form_get(&f, "code");
    uint64_t who = map_hash(code) % opt.people;
    struct str id =
        jwt(rq->arena, json_pack("{s:s,s:s%,s:s,s:[s],s:I}", "sub", people_sub(rq->arena, who).p,
                                 "nonce", code.p, code.n, "acr", "eidas1", "amr", "pwd",
                                 "auth_time", (json_int_t)(clock_now_ms() / 1000)));
    json(rq, rs,
         json_pack("{s:s,s:s,s:i,s:s%}", "access_token",
                   arena_printf(rq->arena, "%llu", (unsigned long long)who).p, "token_type",
                   "Bearer", "expires_in", 60, "id_token", id.p, id.n));
}

static void userinfo(struct web_request *rq, struct web_response *rs)
{
    uint64_t who = 0;
    struct str h = http_header_get(rq->head, "Authorization");
    if (h.n < 8 || !str_to_u64(str_after(h, 7), &who)) {
        rs->status = 401;
        return;
    }
    json_t *v = people_claims(rq->arena, who);
    json_object_set_new(v, "sub", json_string(people_sub(rq->arena, who).p));
    web_header(rs, "Content-Type", STR("application/jwt"));
    buf_add_str(&rs->body, jwt(rq->arena, v));
}

static void handle(struct web_request *rq, struct web_response *rs, void *arg)
{
    struct str keys;
    (void)arg;
    rs->status = 200;
    if (str_eq_z(rq->path, "/token")) {
        token(rq, rs);
    } else if (str_eq_z(rq->path, "/userinfo")) {
        userinfo(rq, rs);
    } else if (str_eq_z(rq->path, "/.well-known/openid-configuration")) {
        discovery(rq, rs);
    } else if (str_eq_z(rq->path, "/jwks") &&
               keys_jwks(opt.keys, "issuer", rq->arena, &keys) == ERR_OK) {
        web_header(rs, "Content-Type", STR("application/json"));
        buf_add_str(&rs->body, keys);
    } else {
        rs->status = 404;
    }
}

int main(int argc, char **argv)
{
    struct arena a;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    arena_init(&a);
    if (argc != 5 || fd < 0 || keys_open_local(argv[1], &opt.keys) != ERR_OK) {
        fputs("usage: upstream FOLDER PORT CLIENT_ID PEOPLE\n", stderr);
        return 2;
    }
    opt.issuer = arena_printf(&a, "http://127.0.0.1:%s", argv[2]).p;
    opt.client = argv[3];
    opt.people = strtoull(argv[4], NULL, 10);
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 512) != 0)
        return 1;
    struct web_server_conf conf = {.listen_fds = &fd,
                                   .n_listen_fds = 1,
                                   .n_loops = 1,
                                   .n_handlers = 4,
                                   .limits = web_limits_default,
                                   .spool_folder = argv[1],
                                   .handler = handle};
    signal(SIGPIPE, SIG_IGN);
    if (!web_server_start(&conf))
        return 1;
    for (;;)
        pause();
}
