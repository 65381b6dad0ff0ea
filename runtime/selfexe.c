#include "selfexe.h"

#include "clean.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
/* The kernel waits some 150 ms at each for whoever holds a page of the copy, then says EBUSY. */
#define SEAL_ATTEMPTS 20

extern char **environ;

/* Pages are held for a moment by reclaim, compaction or another CPU's batch: never by a writer,
 * since nobody else has the descriptor. */
static int seal(int copy)
{
    int result = -1;
    for (int attempt = 0; attempt < SEAL_ATTEMPTS && result < 0; attempt++) {
        result = fcntl(copy, F_ADD_SEALS, SEALS);
        if (result < 0 && errno != EBUSY && errno != EINTR)
            break;
    }
    return result;
}

int selfexe_protect(struct error *e, char **argv)
{
    cleanup_close int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (self < 0 || fstat(self, &info) < 0)
        return err_set(e, errno, "open /proc/self/exe");
    if (fcntl(self, F_GET_SEALS) == SEALS)
        return 0;
    cleanup_close int copy = memfd_create("mini-runtime", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (copy < 0)
        return err_set(e, errno, "copy own executable");
    for (off_t left = info.st_size; left > 0;) {
        ssize_t put = sendfile(copy, self, NULL, (size_t)left);
        if (put <= 0 && errno != EINTR)
            return err_set(e, errno, "copy own executable");
        left -= put > 0 ? put : 0;
    }
    if (seal(copy) < 0)
        return err_set(e, errno, "seal own executable");
    fexecve(copy, argv, environ);
    return err_set(e, errno, "execute own copy");
}
