/* Volumes in huge pages. */
#include "volume.h"

#include "clean.h"
#include "io.h"

#include <errno.h>
#include <sys/mount.h>

int volume_mount_huge(struct error *e, const char *path, int64_t page_bytes)
{
    int is_mounted = volume_is_mounted(e, path);
    if (is_mounted != 0)
        return is_mounted < 0 ? -1 : 0;
    cleanup_free char *options = text_format("mode=0777,pagesize=%lld", (long long)page_bytes);
    if (make_dirs(e, path, 0755) < 0)
        return -1;
    if (mount("hugetlbfs", path, "hugetlbfs", 0, options) == 0)
        return 0;
    if (errno == EINVAL || errno == ENODEV)
        return err_set(e, errno, "this kernel has no huge pages of %lld bytes",
                       (long long)page_bytes);
    return err_set(e, errno, "mount hugetlbfs at %s", path);
}
