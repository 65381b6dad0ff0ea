/**
 * What volumes need of the host. Every call may be repeated: what is done already stays as it is. Failures carry an
 * errno name as `code`.
 */

export interface VolumeHost {
  /** Mounts an empty file system in memory of at most `bytes` (absent = half the host's). Done already = nothing. */
  mountMemory(path: string, bytes?: number): Promise<void>;
  /** A file system in huge pages of this size. */
  mountHugePages(path: string, pageBytes: number): Promise<void>;
  /** Makes a sparse file with an empty ext4. Rejects with ENOENT when the host has no mkfs.ext4. */
  makeImage(path: string, bytes: number): Promise<void>;
  /** Mounts such a file through a loop device that goes away with the mount. Done already = nothing. */
  mountImage(image: string, path: string): Promise<void>;
  /** Mounts directories over each other, the first on top; read-only, without programs. What is mounted already stays. */
  mountLayers(path: string, layers: readonly string[]): Promise<void>;
  /** Grows it, mounted at `path` or not. Rejects with EPERM when only the next mount can finish it. */
  growImage(image: string, path: string, bytes: number): Promise<void>;
  /** Makes a sparse file of at least this size without a file system; its device grows with it. */
  makeDisk(path: string, bytes: number): Promise<void>;
  /** Gives such a file a loop device, which it keeps until it is detached; resolves to the device's path. */
  attachDisk(path: string): Promise<string>;
  /** Succeeds when it has none, or is not there. */
  detachDisk(path: string): Promise<void>;
  /** Succeeds when nothing is mounted there. */
  unmount(path: string): Promise<void>;
  /** Limits a directory by a project quota. Rejects with EOPNOTSUPP when its file system has none. */
  setQuota(path: string, bytes: number): Promise<void>;
  /** Lets a group read, and unless `isReadOnly` write, all that lies at and below path. */
  ownTree(path: string, group: number, options?: { readonly isReadOnly?: boolean }): Promise<void>;
  /** Removes a tree, immutable and foreign-owned files included. Never leaves the tree it was given. */
  removeTree(path: string): Promise<void>;
}
