/* The daemon's verbs about sandboxes, interfaces, routes and files. */
#include "cgroup.h"
#include "clean.h"
#include "connect.h"
#include "conntrack.h"
#include "host-watch.h"
#include "io.h"
#include "jobs.h"
#include "json.h"
#include "netlink.h"
#include "network.h"
#include "remove-tree.h"
#include "sandbox.h"
#include "unpack.h"

#include <errno.h>
#include <string.h>

/* {path, resources}: a cgroup that stays. */
static int keep_cgroup(struct error *e, json_object *request)
{
    cleanup_json json_object *warnings = json_object_new_array();
    const char *path = json_text(request, "path", "");
    if (*path != '/')
        return err_set(e, 0, "cgroup path \"%s\" must be absolute", path);
    return cgroup_keep(e, path, json_at(request, "resources"), warnings);
}

int job_cgroup_keep(struct error *e, struct job *job)
{
    return keep_cgroup(e, job->request);
}

int job_sandbox_create(struct error *e, struct job *job)
{
    json_object *cgroup = json_at(job->request, "cgroup");
    if (cgroup != NULL && keep_cgroup(e, cgroup) < 0)
        return -1;
    return sandbox_create(e, job, &job->result);
}

int job_sandbox_delete(struct error *e, struct job *job)
{
    return sandbox_delete(e, job->run_dir, json_text(job->request, "id", ""));
}

int job_sandbox_list(struct error *e, struct job *job)
{
    return sandbox_list(e, job->run_dir, &job->result);
}

/* Answers itself, then is the pipe until both ends are done. */
int job_connect(struct error *e, struct job *job)
{
    if (sandbox_enter_network(e, job->run_dir, json_text(job->request, "id", "")) < 0)
        return -1;
    int port = connect_local(e, (int)json_number(job->request, "port", 0));
    if (port < 0)
        return -1;
    if (reply_result(job->connection, NULL) < 0)
        return err_set(e, EPIPE, "answer");
    job_release(job);
    connect_relay(job->connection, port, job->rest, job->rest_size);
    _exit(0);
}

int job_unpack(struct error *e, struct job *job)
{
    return unpack(e, json_text(job->request, "directory", ""), job->connection, job->rest,
                  job->rest_size);
}

int job_remove_tree(struct error *e, struct job *job)
{
    return remove_tree(e, json_text(job->request, "path", ""));
}

int job_bridge_ensure(struct error *e, struct job *job)
{
    const char *name = json_text(job->request, "name", "");
    const char *address = json_text(job->request, "address", "");
    unsigned int mtu = (unsigned int)json_number(job->request, "mtu", 1500);
    cleanup_close int fd = netlink_open(e);
    if (fd < 0 || link_bridge(e, fd, name, mtu, address) < 0 ||
        address_add(e, fd, name, address) < 0 || link_up(e, fd, name) < 0)
        return -1;
    cleanup_free char *key = text_format("net/ipv4/conf/%s/route_localnet", name);
    if (json_flag(job->request, "isLocalhostRouted", false) && network_sysctl(e, key, "1") < 0)
        return -1;
    return network_sysctl(e, "net.ipv4.ip_forward", "1");
}

int job_interface_delete(struct error *e, struct job *job)
{
    cleanup_close int fd = netlink_open(e);
    return fd < 0 ? -1 : link_delete(e, fd, json_text(job->request, "name", ""));
}

int job_routes_set(struct error *e, struct job *job)
{
    cleanup_close int fd = netlink_open(e);
    return fd < 0 ? -1 : routes_replace(e, fd, json_at(job->request, "routes"));
}

int job_flows_forget(struct error *e, struct job *job)
{
    return conntrack_forget(e, json_at(job->request, "ports"));
}

/* Answers itself, then tells until the client goes. */
int job_host_watch(struct error *e, struct job *job)
{
    struct host_watch watch;
    if (host_watch_open(e, &watch, json_text(job->request, "table", "")) < 0)
        return -1;
    host_watch_memory(&watch, json_number(job->request, "memoryBytes", 0));
    if (reply_result(job->connection, NULL) < 0)
        return err_set(e, EPIPE, "answer");
    job_release(job);
    host_watch_tell(&watch, job->connection);
    _exit(0);
}
