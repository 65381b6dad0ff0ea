/** Errors that kubectl's users see as they are, without a stack trace. */

/** A mistake of the user's or a failure to tell as it is: printed as `error: …`. */
export class KubectlError extends Error {
  /** With a code of its own for what is to end otherwise than with 1. */
  readonly exitCode: number;
  constructor(
    message: string,
    { exitCode = 1, cause }: { exitCode?: number; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}

/** What is not built: says so and names the program that has it. */
export function refused(what: string): KubectlError {
  return new KubectlError(
    `mini kubectl has no ${what}; use the real kubectl for it (it works with this cluster and its kubeconfig)`,
  );
}
