/*
 * Feeds mutated input to what reads other people's data: fuzz TARGET SEED RUNS FILE…
 * The same seed gives the same inputs. Each FILE is an input to begin with. Built with sanitizers
 * (make fuzz): what they find ends the run, and the input is in ./fuzz-input.
 */
#include "fuzz.h"

#include "../clean.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#define SEEDS_MAX 64
#define MUTATIONS_MAX 12

static uint64_t state;

static uint32_t next_random(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static size_t below(size_t bound)
{
    return bound == 0 ? 0 : next_random() % bound;
}

struct input now;
static struct input seeds[SEEDS_MAX];
static int seed_count;

static void insert(const char *text, size_t size)
{
    size_t at = below(now.size + 1);
    if (now.size + size > INPUT_MAX)
        return;
    memmove(now.data + at + size, now.data + at, now.size - at);
    memcpy(now.data + at, text, size);
    now.size += size;
}

static void remove_part(void)
{
    size_t at = below(now.size), size = below(now.size - at) % 64;
    memmove(now.data + at, now.data + at + size, now.size - at - size);
    now.size -= size;
}

static void insert_part(void)
{
    const struct input *other = &seeds[below((size_t)seed_count)];
    size_t from = below(other->size), size = below(other->size - from);
    insert(other->data + from, size);
}

static void mutate_once(void)
{
    static const char *const words[] = {
        "null",   "[]",      "{}",      "-1",         "0",        "18446744073709551615",
        "1e999",  "\"\"",    "\"/\"",   "\"..\"",     "true",     "[[[[[[[[",
        "{\"\":", "\\u0000", "7777777", "9999999999", "\0\0\0\0", "\xff\xff"};
    const char *word = words[below(sizeof words / sizeof *words)];
    switch (below(7)) {
    case 0:
        now.data[below(now.size)] ^= (char)(1 << below(8));
        break;
    case 1:
        now.data[below(now.size)] = (char)next_random();
        break;
    case 2:
        remove_part();
        break;
    case 3:
        insert_part();
        break;
    case 4:
        now.size = below(now.size + 1);
        break;
    default:
        insert(word, *word == '\0' ? 4 : strlen(word));
    }
}

static void mutate(void)
{
    memcpy(&now, &seeds[below((size_t)seed_count)], sizeof now);
    for (size_t left = 1 + below(MUTATIONS_MAX); left > 0; left--)
        if (now.size > 0)
            mutate_once();
    now.data[now.size] = '\0';
}

static void keep_input(void)
{
    int fd = open("fuzz-input", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    (void)!write(fd, now.data, now.size);
    close(fd);
}

/* Called by the sanitizers before they end the process. */
void __asan_on_error(void);
void __asan_on_error(void)
{
    keep_input();
}

static int load(const char *path)
{
    struct input *seed = &seeds[seed_count];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, seed->data, INPUT_MAX);
    if (fd >= 0)
        close(fd);
    if (got <= 0 || ++seed_count == SEEDS_MAX)
        return -1;
    seed->size = (size_t)got;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } targets[] = {{"config", fuzz_config}, {"frames", fuzz_frames}, {"tar", fuzz_tar},
                   {"texts", fuzz_texts},   {"state", fuzz_state},   {"messages", fuzz_messages}};
    size_t target = 0, targets_count = sizeof targets / sizeof *targets;
    while (argc > 4 && target < targets_count && strcmp(targets[target].name, argv[1]) != 0)
        target++;
    if (argc < 5 || target == targets_count) {
        fputs("usage: fuzz config|frames|tar|texts|state|messages SEED RUNS FILE…\n", stderr);
        return 2;
    }
    for (int i = 4; i < argc; i++)
        if (load(argv[i]) < 0) {
            fprintf(stderr, "fuzz: cannot load %s\n", argv[i]);
            return 2;
        }
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
        mount("tmpfs", SCRATCH, "tmpfs", 0, "size=64m") < 0) {
        perror("fuzz: scratch directory");
        return 2;
    }
    state = strtoull(argv[2], NULL, 10);
    unsigned long runs = strtoul(argv[3], NULL, 10);
    for (unsigned long i = 0; i < runs; i++) {
        mutate();
        targets[target].run();
    }
    printf("%s: %lu inputs\n", argv[1], runs);
    return 0;
}
