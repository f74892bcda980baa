/* What the demonstration's servers share. */
#include "demo/bodies.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "demo/demo.h"
#include "sys/sandbox.h"

static int listen_local(unsigned port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(fd, 512) == 0)
        return fd;
    close(fd);
    return -1;
}

static enum err confine(struct arena *a, const struct settings *s)
{
    static const char *const read_paths[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/ssl",
                                             "/dev/urandom",     "/proc/self", NULL};
    const char *const write_paths[] = {arena_printf(a, "%s/spool", s->data).p, NULL};
    struct sandbox box = {.flags = SANDBOX_NET | SANDBOX_FILES | SANDBOX_THREADS,
                          .read_paths = read_paths,
                          .write_paths = write_paths};
    return sandbox_enter(&box);
}

int demo_serve(struct proc *self, const struct settings *s, unsigned plus, web_handler *handler,
               void *arg)
{
    struct arena a;
    log_set_process(proc_name(self));
    arena_init(&a);
    unsigned port = (unsigned)s->port + plus;
    int fd = listen_local(port);
    enum err e = fd < 0 ? ERR_UNAVAILABLE : confine(&a, s);
    if (e != ERR_OK) {
        log_error("demo_cannot_serve", "port", LOG_NUM(port), "error", err_name(e));
        arena_free(&a);
        return 1;
    }
    struct web_server_conf conf = {.listen_fds = &fd,
                                   .n_listen_fds = 1,
                                   .n_loops = 1,
                                   .n_handlers = 4,
                                   .limits = web_limits_default,
                                   .spool_folder = arena_printf(&a, "%s/spool", s->data).p,
                                   .handler = handler,
                                   .arg = arg};
    struct web_server *server = web_server_start(&conf);
    proc_ready(self);
    while (!proc_wait_stop(-1))
        ;
    web_server_stop(server, 1000);
    close(fd);
    arena_free(&a);
    return 0;
}

void demo_json(struct web_response *rs, int status, struct str body)
{
    rs->status = status;
    web_header(rs, "Content-Type", STR("application/json"));
    buf_add_str(&rs->body, body);
}

size_t demo_procs(const struct settings *s, struct proc_spec *out, size_t max)
{
    const struct proc_spec all[] = {{"demo-idp", demo_idp_main, (void *)s},
                                    {"demo-family", demo_family_main, (void *)s},
                                    {"demo-tax-xml", demo_tax_xml_main, (void *)s},
                                    {"demo-tax", demo_tax_main, (void *)s}};
    size_t n = 0;
    for (; n < COUNT_OF(all) && n < max; n++)
        out[n] = all[n];
    return n;
}
