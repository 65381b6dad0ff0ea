#include "clean.h"
#include "volume.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif
/* The kernel's PRJQUOTA, and the unit of its limits. */
#define PROJECT_QUOTA 2
#define QUOTA_BLOCK 1024
/* Projects that administrators have are low numbers. */
#define FIRST_PROJECT 0x40000000U
#define ATTEMPTS 64

static int quota(int fd, unsigned int command, uint32_t project, struct if_dqblk *limits)
{
    return (int)syscall(SYS_quotactl_fd, fd, QCMD(command, PROJECT_QUOTA), project, limits);
}

static int not_supported(struct error *e, const char *path)
{
    return err_set(e, EOPNOTSUPP, "no project quota on the file system of %s", path);
}

/* A project that has no files and no limits. */
static int free_project(struct error *e, int fd, uint32_t *project)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        struct if_dqblk limits = {0};
        if (getrandom(project, sizeof *project, 0) != (ssize_t)sizeof *project)
            return err_set(e, errno, "choose a project");
        *project = FIRST_PROJECT | (*project & (FIRST_PROJECT - 1));
        if (quota(fd, Q_GETQUOTA, *project, &limits) < 0 && errno == ENOENT)
            return 0;
        if (limits.dqb_bhardlimit == 0 && limits.dqb_curspace == 0 && limits.dqb_curinodes == 0)
            return 0;
    }
    return err_set(e, EBUSY, "choose a project");
}

int volume_set_quota(struct error *e, const char *path, int64_t bytes)
{
    struct fsxattr attributes;
    struct if_dqblk limits = {0};
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open %s", path);
    if (quota(fd, Q_GETQUOTA, 0, &limits) < 0 && errno != ENOENT)
        return not_supported(e, path);
    if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0)
        return not_supported(e, path);
    if (attributes.fsx_projid < FIRST_PROJECT) {
        if (free_project(e, fd, &attributes.fsx_projid) < 0)
            return -1;
        attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
        if (ioctl(fd, FS_IOC_FSSETXATTR, &attributes) < 0)
            return err_set(e, errno, "give %s a project", path);
    }
    limits = (struct if_dqblk){.dqb_bhardlimit = (uint64_t)bytes / QUOTA_BLOCK,
                               .dqb_bsoftlimit = (uint64_t)bytes / QUOTA_BLOCK,
                               .dqb_valid = QIF_BLIMITS};
    if (quota(fd, Q_SETQUOTA, attributes.fsx_projid, &limits) < 0)
        return err_set(e, errno, "limit %s", path);
    return 0;
}
