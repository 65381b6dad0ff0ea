#include "keyring.h"

#include "clean.h"
#include "io.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a new keyring may be used for, and that others of the same user find it by its name: an exec
 * joins it so. Sources: keyctl(2), KEYCTL_SETPERM of keyctl(2) for the bits. */
#define POSSESSOR_ALL 0x3f000000U
#define USER_VIEW_READ_SEARCH_LINK 0x001b0000U

int keyring_join(struct error *e, const char *id)
{
    cleanup_free char *name = text_format("_ses.%s", id);
    long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);
    if (ring < 0 && errno == ENOSYS)
        return 0;
    if (ring < 0 && errno == EDQUOT)
        return err_set(e, EDQUOT,
                       "make the session keyring: raise the sysctls kernel.keys.maxkeys and "
                       "kernel.keys.maxbytes (for root kernel.keys.root_maxkeys)");
    if (ring < 0)
        return err_set(e, errno, "join the session keyring %s", name);
    /* EACCES: another process of the container has changed it. */
    if (syscall(SYS_keyctl, KEYCTL_SETPERM, (int32_t)ring,
                POSSESSOR_ALL | USER_VIEW_READ_SEARCH_LINK) < 0 &&
        errno != EACCES)
        return err_set(e, errno, "set permissions of the session keyring %s", name);
    return 0;
}
