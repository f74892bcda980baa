/* What the demonstration's servers share. */
#include "demo/bodies.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "demo/demo.h"

static int listen_local(unsigned port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
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

int demo_serve(struct proc *self, const char *name, unsigned port, web_handler *handler, void *arg)
{
    log_set_process(name);
    int fd = listen_local(port);
    if (fd < 0) {
        log_error("demo_cannot_listen", "port", LOG_NUM(port));
        return 1;
    }
    struct web_server_conf conf = {.listen_fds = &fd, .n_listen_fds = 1, .n_loops = 1,
                                   .n_handlers = 4, .limits = web_limits_default,
                                   .spool_folder = "/tmp", .handler = handler, .arg = arg};
    struct web_server *server = web_server_start(&conf);
    proc_ready(self);
    char stop;
    while (!proc_stopping)
        if (read(proc_stop_fd(), &stop, 1) < 0 && errno != EINTR)
            break;
    web_server_stop(server, 1000);
    close(fd);
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
