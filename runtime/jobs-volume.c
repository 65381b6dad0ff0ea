/* The daemon's verbs about volumes. */
#include "io.h"
#include "jobs.h"
#include "json.h"
#include "mounts.h"
#include "volume.h"

#include <errno.h>

static const char *path_of(struct job *job)
{
    return json_text(job->request, "path", "");
}

int job_volume_memory(struct error *e, struct job *job)
{
    return volume_mount_memory(e, path_of(job), json_number(job->request, "bytes", 0));
}

int job_volume_huge(struct error *e, struct job *job)
{
    return volume_mount_huge(e, path_of(job), json_number(job->request, "pageBytes", 0));
}

int job_volume_image(struct error *e, struct job *job)
{
    return volume_make_image(e, path_of(job), json_number(job->request, "bytes", 0));
}

int job_volume_mount(struct error *e, struct job *job)
{
    return volume_mount_image(e, json_text(job->request, "image", ""), path_of(job));
}

int job_volume_grow(struct error *e, struct job *job)
{
    return volume_grow_image(e, json_text(job->request, "image", ""), path_of(job),
                             json_number(job->request, "bytes", 0));
}

int job_disk_make(struct error *e, struct job *job)
{
    return volume_make_disk(e, path_of(job), json_number(job->request, "bytes", 0));
}

int job_disk_attach(struct error *e, struct job *job)
{
    char device[LOOP_NAME_SIZE];
    if (volume_attach_disk(e, path_of(job), device) < 0)
        return -1;
    job->result = json_object_new_object();
    json_put_text(job->result, "device", device);
    return 0;
}

int job_disk_detach(struct error *e, struct job *job)
{
    return volume_detach_disk(e, path_of(job));
}

int job_volume_layers(struct error *e, struct job *job)
{
    const char *path = path_of(job);
    int is_mounted = volume_is_mounted(e, path);
    if (is_mounted != 0)
        return is_mounted < 0 ? -1 : 0;
    if (make_dirs(e, path, 0755) < 0)
        return -1;
    return overlay_mount_layers(e, json_at(job->request, "layers"), path);
}

int job_volume_unmount(struct error *e, struct job *job)
{
    return volume_unmount(e, path_of(job));
}

int job_volume_quota(struct error *e, struct job *job)
{
    return volume_set_quota(e, path_of(job), json_number(job->request, "bytes", 0));
}

int job_tree_own(struct error *e, struct job *job)
{
    int64_t group = json_number(job->request, "group", -1);
    if (group < 0 || group >= UINT32_MAX)
        return err_set(e, EINVAL, "group %lld", (long long)group);
    return tree_own(e, path_of(job), (uint32_t)group, json_flag(job->request, "isReadOnly", false));
}
