/*
 * The outer executable: lays its payload out once per version and becomes the program inside.
 * Static, so that it starts on any host. Environment: MINI_UNPACK_DIR says where to lay out;
 * MINI_SELF and MINI_HOME tell the program the path of this file and of its own files. Sync with
 * build.mjs and cmd/assets.ts (environment).
 */
#include "versions.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_DATA_DIR "/var/lib/mini"

/* The directory to lay out under: MINI_UNPACK_DIR, --data-dir, MINI_DATA_DIR, the default, or the
 * user's cache. */
static void choose_parent(int argc, char **argv, char *parent, size_t size)
{
    const char *unpack_dir = getenv("MINI_UNPACK_DIR");
    const char *data_dir = getenv("MINI_DATA_DIR");
    if (unpack_dir != NULL && *unpack_dir != '\0') {
        snprintf(parent, size, "%s", unpack_dir);
        return;
    }
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--data-dir") == 0 && i + 1 < argc)
            data_dir = argv[i + 1];
        else if (strncmp(argv[i], "--data-dir=", 11) == 0)
            data_dir = argv[i] + 11;
    }
    const char *home = getenv("HOME");
    if (data_dir != NULL && *data_dir != '\0')
        snprintf(parent, size, "%s/data", data_dir);
    else if (geteuid() != 0 && home != NULL && *home != '\0')
        snprintf(parent, size, "%s/.cache/mini/data", home);
    else
        snprintf(parent, size, "%s/data", DEFAULT_DATA_DIR);
}

int main(int argc, char **argv)
{
    struct payload payload;
    struct trailer trailer;
    char parent[PATH_MAX - 64];
    char home[PATH_MAX];
    char program[PATH_MAX + 8];
    char self[PATH_MAX] = {0};

    if (payload_open(&payload, &trailer) < 0)
        return 1;
    choose_parent(argc, argv, parent, sizeof(parent));
    snprintf(home, sizeof(home), "%s/%.*s", parent, ID_HEX, trailer.id);
    snprintf(program, sizeof(program), "%s/" PROGRAM, home);
    if (version_enter(&payload, &trailer, parent, home) < 0)
        return 1;
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        return fail("read", "/proc/self/exe") < 0;
    if (setenv("MINI_SELF", self, 1) < 0 || setenv("MINI_HOME", home, 1) < 0)
        return fail("set", "the environment") < 0;
    execv(program, argv);
    int code = errno;
    fail("execute", program);
    if (code == ENOEXEC)
        fprintf(stderr, "mini: this file is for another kind of processor\n");
    else
        fprintf(stderr,
                "mini: if its file system is mounted noexec, name another with MINI_UNPACK_DIR\n");
    return 1;
}
