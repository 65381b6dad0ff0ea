/**
 * Sandboxes, containers, execs and images of one host; no Kubernetes words. Serves the agent and the Docker API.
 * What it is told is on disk before it answers (`<dataDir>/containers/<id>/container.json`), so a restarted
 * engine knows everything an earlier one did.
 */

import type { ImageStore } from '../image/image-store.ts';
import type { HostPort } from '../network/rules.ts';
import type { ExecSession, Exit, Stdio } from '../runtime/runtime.ts';
import type { ProcessUser } from './users.ts';

/** Of the runtime, for whoever makes the volumes that containers mount. */
export type { VolumeHost } from '../runtime/volume-host.ts';

export type Labels = Readonly<Record<string, string>>;

export interface SandboxConfig {
  /** Chosen by the caller, [a-z0-9]{1,64}; creating it again returns the existing one. */
  readonly id: string;
  readonly labels: Labels;
  readonly hostname: string;
  readonly isHostNetwork: boolean;
  readonly isHostIpc: boolean;
  /** Its root is nobody on the host: a user namespace with ids that no other sandbox has. */
  readonly hasOwnUsers?: boolean;
  /** Its containers see each other's processes. */
  readonly sharesProcesses?: boolean;
  /** Ports of the host that lead here; not with the host's network. */
  readonly hostPorts?: readonly HostPort[];
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Name of the OCI runtime that makes its containers; absent = the helper itself. */
  readonly handler?: string;
  /** Parent of its containers' cgroups with the limits of all of them together; see Engine.setCgroup. */
  readonly cgroup?: { readonly path: string; readonly resources: Resources };
}

export interface SandboxInfo {
  readonly id: string;
  readonly labels: Labels;
  readonly createdAt: string;
  /** Address on the node's bridge; absent with the host's network. */
  readonly ip?: string;
  readonly isReady: boolean;
}

export interface Mount {
  readonly source: string;
  /** Directory that `source` must lie in whatever links say; what is missing of the path is made as a directory. */
  readonly sourceRoot?: string;
  readonly destination: string;
  readonly isReadOnly: boolean;
  /** With isReadOnly: also what is mounted below it. */
  readonly isRecursivelyReadOnly?: boolean;
  readonly propagation?: 'private' | 'rslave' | 'rshared';
  /** 'bind' (default) or 'tmpfs' (source ignored). */
  readonly type?: 'bind' | 'tmpfs';
  readonly options?: readonly string[];
}

/** A device node of the host that the container has, too. */
export interface Device {
  readonly source: string;
  readonly destination: string;
  readonly isReadOnly: boolean;
}

export interface Resources {
  /** Relative weight, Kubernetes' cpu shares: 1024 = one core. */
  readonly cpuShares?: number;
  readonly cpuQuotaUs?: number;
  readonly cpuPeriodUs?: number;
  readonly memoryLimitBytes?: number;
  readonly pidsLimit?: number;
  /** Whether its memory may be swapped out; only cgroup v2 can forbid it without a limit. Default: true. */
  readonly maySwap?: boolean;
  /** Bytes of huge pages by the page's size as the kernel names it ('2MB', '1GB'). */
  readonly hugePages?: Readonly<Record<string, number>>;
}

export interface Security {
  /** Name or number, optionally `:group`, as in an image's User; absent = the image's. */
  readonly user?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly additionalGids?: readonly number[];
  readonly isPrivileged?: boolean;
  readonly isReadOnlyRoot?: boolean;
  readonly mayGainPrivileges?: boolean;
  readonly addCapabilities?: readonly string[];
  readonly dropCapabilities?: readonly string[];
  readonly isHostPid?: boolean;
  /**
   * System calls it may make: the default profile (also when absent), all, or those of an OCI seccomp profile in a
   * file. A privileged container may make all.
   */
  readonly seccomp?: 'default' | 'unconfined' | { readonly path: string };
  /** A loaded AppArmor profile; absent = that of the engine. */
  readonly appArmorProfile?: string;
  /** SELinux labels of its processes, and of the file systems that are made for it. */
  readonly seLinux?: { readonly process: string; readonly mount: string };
  /** Nothing below /proc and /sys is masked or read-only. */
  readonly isProcUnmasked?: boolean;
  /** The groups that the image's /etc/group gives the user are left out. */
  readonly hasOwnGroupsOnly?: boolean;
  /** Share the pid namespace of this container (shareProcessNamespace, docker --pid container:). */
  readonly pidOfContainer?: string;
}

export interface ContainerConfig {
  readonly id: string;
  readonly sandboxId: string;
  readonly labels: Labels;
  /** Image reference or id; must be in the store. */
  readonly image: string;
  /** Replaces the image's entrypoint. */
  readonly command?: readonly string[];
  /** Replaces the image's cmd. */
  readonly args?: readonly string[];
  /** `NAME=value`, after the image's own. */
  readonly env: readonly string[];
  readonly workingDir?: string;
  readonly mounts: readonly Mount[];
  readonly devices?: readonly Device[];
  readonly resources: Resources;
  readonly security: Security;
  /** Parent of the container's cgroup, e.g. '/mini/pod<uid>'. */
  readonly cgroupParent: string;
  readonly logPath?: string;
  readonly hasTerminal: boolean;
  readonly hasStdin: boolean;
  readonly isStdinOnce: boolean;
  /** Written to oom_score_adj. */
  readonly oomScoreAdj?: number;
  /** Signal name that asks it to stop; absent = the image's, else SIGTERM. */
  readonly stopSignal?: string;
}

export interface ContainerInfo {
  readonly id: string;
  readonly sandboxId: string;
  readonly labels: Labels;
  /** As asked for. */
  readonly image: string;
  /** Digest of the image's config: `sha256:…`. */
  readonly imageId: string;
  /** Of its first process. */
  readonly user: ProcessUser;
  readonly status: 'created' | 'running' | 'paused' | 'exited';
  readonly pid?: number;
  readonly createdAt: string;
  readonly startedAt?: string;
  readonly exit?: Exit;
  readonly logPath?: string;
}

export interface ExecOptions {
  readonly args: readonly string[];
  readonly env?: readonly string[];
  readonly workingDir?: string;
  readonly user?: string;
  readonly hasTerminal: boolean;
  /** Of the terminal at the start. */
  readonly terminalSize?: { readonly columns: number; readonly rows: number };
  readonly hasStdin: boolean;
}

/** `code` tells what to do: 'NotFound', 'Conflict' (wrong state), 'ImageNotFound', 'StartFailed', 'Internal'. */
export class EngineError extends Error {
  readonly code: 'NotFound' | 'Conflict' | 'ImageNotFound' | 'StartFailed' | 'Internal';
  constructor(code: EngineError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export interface Engine {
  readonly images: ImageStore;
  /** Makes a cgroup that is to have others below it, or changes its limits. It stays until removeCgroup. */
  setCgroup(path: string, resources: Resources): Promise<void>;
  /** Removes an empty one; one that has processes or others below it stays. */
  removeCgroup(path: string): Promise<void>;
  createSandbox(config: SandboxConfig, signal?: AbortSignal): Promise<SandboxInfo>;
  /** Removes its containers too. Idempotent. */
  removeSandbox(id: string): Promise<void>;
  getSandbox(id: string): SandboxInfo | undefined;
  listSandboxes(): readonly SandboxInfo[];
  /** Prepares everything but runs nothing. */
  createContainer(config: ContainerConfig, signal?: AbortSignal): Promise<ContainerInfo>;
  /** Rejects with StartFailed (message as the OCI runtime says it) when its program cannot be executed. */
  startContainer(id: string): Promise<ContainerInfo>;
  /** Sends the stop signal, then SIGKILL after graceMs; resolves once it has exited. Idempotent. */
  stopContainer(id: string, graceMs: number): Promise<void>;
  killContainer(id: string, signal: string | number): Promise<void>;
  pauseContainer(id: string): Promise<void>;
  resumeContainer(id: string): Promise<void>;
  updateContainer(id: string, resources: Resources): Promise<void>;
  /** Of a container that does not run. Idempotent. Its log file stays. */
  removeContainer(id: string): Promise<void>;
  getContainer(id: string): ContainerInfo | undefined;
  /** All, or those of one sandbox. */
  listContainers(sandboxId?: string): readonly ContainerInfo[];
  exec(id: string, options: ExecOptions, signal?: AbortSignal): Promise<ExecSession>;
  attach(id: string, options: { readonly hasStdin: boolean }): Promise<Stdio>;
  reopenLog(id: string): Promise<void>;
  /** Connects to a TCP port inside a sandbox's network namespace (port-forward), or on the host when it shares that. */
  connect(sandboxId: string, port: number): Promise<import('node:stream').Duplex>;
  /** Calls `listener` after each change of a container's status (created, running, paused, exited, removed). */
  onChange(listener: (container: ContainerInfo) => void): () => void;
  /** Forgets nothing, stops nothing: containers go on. */
  close(): Promise<void>;
}
