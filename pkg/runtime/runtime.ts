/**
 * Typed calls to the C helper, `mini-runtime`: through its serve daemon for whatever must be fast, and straight to
 * a container's shim for its stdio. This folder is the only one that spawns processes. The daemon holds no state:
 * it may be killed at any time and is started again on the next call; shims and containers go on.
 */

import type { Duplex } from 'node:stream';
import type { VolumeHost } from './volume-host.ts';

/** The OCI runtime specification's config.json (1.2), as far as the engine writes it. */
export interface OciSpec {
  readonly ociVersion: string;
  readonly [field: string]: unknown;
}

/** A cgroup that is to have others below it. */
interface CgroupSpec {
  /** Below the mount of each hierarchy, e.g. '/mini/burstable'. */
  readonly path: string;
  /** OCI linux.resources; what is absent stays as it is. */
  readonly resources: Readonly<Record<string, unknown>>;
}

export interface SandboxSpec {
  readonly id: string;
  readonly hostname: string;
  /**
   * Namespaces to make and pin under `<runDir>/sandboxes/<id>/`; `net` absent = the host's network. `user` owns the
   * others; `pid` has a reaper as its process 1.
   */
  readonly namespaces: readonly ('net' | 'ipc' | 'uts' | 'user' | 'pid')[];
  /** Of the user namespace. */
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
  /** A veth pair into the net namespace; absent = loopback only. */
  readonly interface?: SandboxInterface;
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Made before the sandbox, as keepCgroup does. */
  readonly cgroup?: CgroupSpec;
}

/** OCI's: ids from containerID on are those from hostID on outside. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface SandboxInterface {
  /** Name of the host's end, at most 15 bytes. */
  readonly hostName: string;
  /** Name inside, e.g. 'eth0'. */
  readonly name: string;
  readonly bridge: string;
  /** Address with prefix length, e.g. '10.42.0.5/24'. */
  readonly address: string;
  readonly gateway: string;
  readonly mtu: number;
}

export interface Sandbox {
  readonly id: string;
  /** Paths to join, e.g. { net: '/run/mini/sandboxes/<id>/net' }. */
  /** Paths by name; `shm` is the file system for /dev/shm that goes with `ipc`. */
  readonly namespaces: Readonly<Record<string, string>>;
}

interface LogTarget {
  /** File that receives CRI log lines (`<RFC3339Nano> <stdout|stderr> <F|P> <text>`). */
  readonly path: string;
  readonly maxBytes: number;
  /** How many rotated files to keep beside it (`<path>.<timestamp>`). */
  readonly maxFiles: number;
}

/** The root file system, mounted inside the container's own mount namespace, so that nothing is left on the host. */
interface OverlayRoot {
  /** Topmost first. */
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
}

/** Another OCI runtime, called as `<path> <args> --root <root> … create …`. */
export interface ForeignRuntime {
  readonly path: string;
  readonly args: readonly string[];
  /** Directory of its state, of no other runtime's. */
  readonly root: string;
}

export interface CreateSpec {
  /** At most 64 characters of [a-z0-9]. */
  readonly id: string;
  /** Directory that will hold config.json; exists. */
  readonly bundle: string;
  readonly config: OciSpec;
  readonly overlay?: OverlayRoot;
  /** What makes it instead of the helper itself, for all of its life. */
  readonly runtime?: ForeignRuntime;
  readonly log?: LogTarget;
  readonly hasTerminal: boolean;
  /** Keep the container's stdin open for attach. */
  readonly hasStdin: boolean;
  /** Close stdin after the first attached client goes. */
  readonly isStdinOnce: boolean;
}

export interface ExecSpec {
  readonly execId: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly additionalGids?: readonly number[];
  };
  readonly hasTerminal: boolean;
  readonly hasStdin: boolean;
  /** OCI process.consoleSize: rows and columns. */
  readonly consoleSize?: { readonly height: number; readonly width: number };
  /** OCI process.capabilities etc., taken over from the container's own process when absent. */
  readonly process?: Readonly<Record<string, unknown>>;
}

export interface Exit {
  readonly id: string;
  readonly execId?: string;
  /** As the shell counts: 128 + signal when a signal ended it. */
  readonly exitCode: number;
  readonly signal?: number;
  /** The kernel killed the program for want of memory (not a child of it, nor a user). */
  readonly isOomKilled: boolean;
  /** Its shim was killed, and it was ended for that (SIGKILL): how it would have ended is not known. */
  readonly isLost?: boolean;
  /** RFC 3339 with nanoseconds. */
  readonly startedAt: string;
  readonly finishedAt: string;
}

export interface ContainerState {
  readonly id: string;
  readonly status: 'created' | 'running' | 'paused' | 'stopped';
  readonly pid: number;
  readonly bundle: string;
  readonly startedAt?: string;
  /** Present when stopped. */
  readonly exit?: Exit;
  /** After create and run: what the machine could not do (a missing cgroup controller), in words. */
  readonly warnings?: readonly string[];
}

/** A live connection to a process's stdio. */
export interface Stdio {
  /** What is written here goes to stdin; ending it closes stdin. Data read from it is stdout. */
  readonly stdout: Duplex;
  /** Only without a terminal. */
  readonly stderr?: NodeJS.ReadableStream;
  resize(size: { readonly columns: number; readonly rows: number }): void;
  /** Detaches; the process goes on. */
  close(): void;
}

export interface ExecSession extends Stdio {
  readonly pid: number;
  readonly exited: Promise<Exit>;
}

/** A helper call failed. `code` is an errno name ('ENOENT') or 'EHELPER'; the message says what was tried. */
export class RuntimeError extends Error {
  readonly code: string;
  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export interface Runtime extends VolumeHost {
  /** Another one after the run directory was lost, and with it all that ran: after a reboot of the host. */
  readonly runId: string;
  /** Makes a cgroup or changes its limits. It stays when the last one below it goes; whoever made it removes it. */
  keepCgroup(cgroup: CgroupSpec): Promise<void>;
  createSandbox(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox>;
  /** Unpins and removes namespaces and interface. Succeeds when some or all of it is gone. */
  deleteSandbox(id: string): Promise<void>;
  listSandboxes(): Promise<readonly Sandbox[]>;

  /**
   * Makes the container under a new shim; its process waits before exec. Given up by the signal, create and run may
   * leave it: delete it with isForced. When daemon or shim are killed meanwhile, all three find out what came of it
   * and do what is left to do.
   */
  create(spec: CreateSpec, signal?: AbortSignal): Promise<ContainerState>;
  start(id: string): Promise<ContainerState>;
  /**
   * create + start in one round trip. Rejects, and leaves nothing, when the program cannot be executed. Its state may
   * be `stopped` with an exit when its shim was killed as it started.
   */
  run(spec: CreateSpec, signal?: AbortSignal): Promise<ContainerState>;
  kill(id: string, signal: number, options?: { readonly isForAll?: boolean }): Promise<void>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  update(id: string, resources: Readonly<Record<string, unknown>>): Promise<void>;
  /** Removes a stopped container's shim, cgroup and run-time files. With isForced kills it first. Idempotent. */
  delete(id: string, options?: { readonly isForced?: boolean }): Promise<void>;
  state(id: string): Promise<ContainerState | undefined>;
  /** Every container with a state directory, running or not; how a restarted agent finds its own. */
  list(): Promise<readonly ContainerState[]>;
  processes(id: string): Promise<readonly number[]>;
  exec(id: string, spec: ExecSpec, signal?: AbortSignal): Promise<ExecSession>;
  attach(id: string, options: { readonly hasStdin: boolean }): Promise<Stdio>;
  /** A TCP connection to 127.0.0.1 (then ::1) at this port inside a sandbox's network namespace. */
  connect(sandboxId: string, port: number, signal?: AbortSignal): Promise<Duplex>;
  /** Asks the shim to open its log file again after it was rotated or removed. */
  reopenLog(id: string): Promise<void>;

  /** Unpacks a tar stream (plain; the caller decompresses) into an existing directory, with whiteouts as overlayfs has them. */
  unpack(
    options: { readonly directory: string; readonly source: NodeJS.ReadableStream },
    signal?: AbortSignal,
  ): Promise<void>;
  /** Creates the bridge if it is missing and gives it this address; sets forwarding on. */
  ensureBridge(bridge: {
    readonly name: string;
    readonly address: string;
    readonly mtu: number;
    /** Lets connections of the host that 127.0.0.1 was the target of be led to the bridge. */
    readonly isLocalhostRouted?: boolean;
  }): Promise<void>;
  /** Hands a script to nft, which carries out all of it or nothing. Rejects with what it complained about. */
  nft(script: string): Promise<void>;
  deleteInterface(name: string): Promise<void>;
  /** Replaces the routes that mini owns (by protocol number) in the host's main table with these. */
  setRoutes(
    routes: readonly {
      readonly destination: string;
      readonly via?: string;
      readonly device: string;
    }[],
  ): Promise<void>;

  /** Forgets UDP flows to these ports of the host, which the kernel would go on sending where it sent them before. */
  forgetFlows(ports: readonly number[]): Promise<void>;
  /**
   * Lines of what the kernel tells by itself, `memory` and `rules` (of this nftables table), until the stream is
   * destroyed. A number written to it, and a newline, is the use of memory in bytes from which on to tell. For HostEvents.
   */
  watchHost(table: string, memoryBytes: number): Promise<Duplex>;

  /** Calls `listener` once for each container exit (never an exec's), those that happened while nobody listened first. */
  onExit(listener: (exit: Exit) => void): () => void;
  /** Ends the connection to the daemon and the daemon; containers go on. */
  close(): Promise<void>;
}
