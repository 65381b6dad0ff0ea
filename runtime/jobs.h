/* The daemon's verbs, by topic; jobs.c has the table. */
#ifndef MINI_JOBS_H
#define MINI_JOBS_H

#include "serve.h"

/* The state of each container below root. With mends, containers that are being made are waited
 * for, and what is left of those whose makers were killed is removed. */
int containers_list(struct error *e, const char *root, bool mends, json_object **list);

/* jobs-host.c */
int job_cgroup_keep(struct error *e, struct job *job);
int job_sandbox_create(struct error *e, struct job *job);
int job_sandbox_delete(struct error *e, struct job *job);
int job_sandbox_list(struct error *e, struct job *job);
int job_connect(struct error *e, struct job *job);
int job_unpack(struct error *e, struct job *job);
int job_remove_tree(struct error *e, struct job *job);
int job_bridge_ensure(struct error *e, struct job *job);
int job_interface_delete(struct error *e, struct job *job);
int job_routes_set(struct error *e, struct job *job);
int job_flows_forget(struct error *e, struct job *job);
int job_host_watch(struct error *e, struct job *job);

/* jobs-volume.c */
int job_volume_memory(struct error *e, struct job *job);
int job_volume_huge(struct error *e, struct job *job);
int job_volume_image(struct error *e, struct job *job);
int job_volume_mount(struct error *e, struct job *job);
int job_volume_grow(struct error *e, struct job *job);
int job_disk_make(struct error *e, struct job *job);
int job_disk_attach(struct error *e, struct job *job);
int job_disk_detach(struct error *e, struct job *job);
int job_volume_layers(struct error *e, struct job *job);
int job_volume_unmount(struct error *e, struct job *job);
int job_volume_quota(struct error *e, struct job *job);
int job_tree_own(struct error *e, struct job *job);

#endif
