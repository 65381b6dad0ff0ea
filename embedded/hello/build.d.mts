/** Types of build.mjs. */

export interface BuildHelloOptions {
  /** C compiler; default: gcc for this architecture's name. */
  readonly cc?: string;
  /** Default: this machine's. */
  readonly arch?: 'amd64' | 'arm64';
  readonly outDir: string;
}

/** Compiles the program and writes `<outDir>/hello-<arch>.tar`; resolves with its path. */
export function buildHello(options: BuildHelloOptions): Promise<{ readonly archive: string }>;
