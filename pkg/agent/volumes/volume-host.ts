/** What volumes need of the host; the runtime (pkg/runtime) does it. Failures carry an errno name as `code`. */

export interface VolumeHost {
  mountMemory(path: string, bytes?: number): Promise<void>;
  mountHugePages(path: string, pageBytes: number): Promise<void>;
  makeImage(path: string, bytes: number): Promise<void>;
  mountImage(image: string, path: string): Promise<void>;
  mountLayers(path: string, layers: readonly string[]): Promise<void>;
  growImage(image: string, path: string, bytes: number): Promise<void>;
  unmount(path: string): Promise<void>;
  setQuota(path: string, bytes: number): Promise<void>;
  ownTree(path: string, group: number, options?: { readonly isReadOnly?: boolean }): Promise<void>;
  removeTree(path: string): Promise<void>;
}

/** Whether a call failed with this errno. */
export function failedWith(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
