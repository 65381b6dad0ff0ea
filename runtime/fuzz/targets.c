/* What images, engines and clients send. */
#include "fuzz.h"

#include "../cgroup.h"
#include "../clean.h"
#include "../container.h"
#include "../filter.h"
#include "../json.h"
#include "../mounts.h"
#include "../namespaces.h"
#include "../shim.h"
#include "../tar.h"
#include "../unpack.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Unpacking makes files and compiling takes long: not for each input. */
#define UNPACK_EVERY 16
#define COMPILE_EVERY 64

static void compile(json_object *config)
{
    static unsigned long runs;
    struct error e = {0};
    struct filter filter = {0};
    json_object *profile = json_at(config, "linux.seccomp");
    (void)namespaces_new(config);
    if (profile != NULL && ++runs % COMPILE_EVERY == 0)
        (void)filter_compile(&e, profile, &filter);
    free(filter.code);
}

void fuzz_config(void)
{
    struct error e = {0};
    cleanup_json json_object *config = NULL;
    if (json_parse(&e, now.data, &config) < 0)
        return;
    if (container_check(&e, config) == 0)
        compile(config);
    json_object *mounts = json_at(config, "mounts");
    size_t count = json_count(mounts, "");
    for (size_t i = 0; i < count; i++) {
        static struct mount_options o;
        (void)mount_options_parse(&e, json_entry(mounts, i), &o);
    }
    struct cgroup g = {0};
    (void)cgroup_plan(&e, &g, config, "fuzz");
    cgroup_free(&g);
}

void fuzz_frames(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    struct shim shim = {
        .signals = -1,
        .listener = -1,
        .container = {.dir_fd = -1, .mounts_fd = -1, .id = "fuzz", .dir = "/nonexistent"}};
    struct program *program = shim.main = program_new(&shim);
    struct client *client = calloc(1, sizeof *client);
    program->in = open("/dev/null", O_WRONLY | O_CLOEXEC);
    client->fd = pair[0];
    shim.clients = client;
    for (size_t at = 0; at < now.size && !client->is_dead;) {
        ssize_t put = send(pair[1], now.data + at, now.size - at, MSG_NOSIGNAL);
        if (put <= 0)
            break;
        at += (size_t)put;
        for (int i = 0; i < 8 && !client->is_dead; i++)
            client_serve(&shim, client);
        client_flush(client);
    }
    client_free(client);
    while (shim.programs != NULL) {
        struct program *gone = shim.programs;
        shim.programs = gone->next;
        program_free(gone);
    }
    close(pair[1]);
}

void fuzz_tar(void)
{
    static unsigned long runs;
    struct error e = {0};
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, now.data, now.size) != (ssize_t)now.size || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    if (++runs % UNPACK_EVERY == 0) {
        (void)unpack(&e, SCRATCH, fd, "", 0);
    } else {
        struct tar tar;
        struct tar_entry entry = {0};
        const char *data;
        if (tar_open(&e, &tar, fd, "", 0) < 0)
            abort();
        while (tar_next(&e, &tar, &entry) == 1) {
            (void)tar_data(&e, &tar, entry.size, &data);
            tar_entry_free(&entry);
        }
        tar_close(&tar);
    }
    close(fd);
}
