/** Why a container could not be started, in the words that kubectl users know, and when it is worth another try. */

import type { Waiting } from './decide.ts';

export class StartError extends Error {
  readonly reason: string;

  constructor(reason: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }

  /** What the status shows at once. */
  get waiting(): Waiting {
    return { reason: this.reason, message: this.message };
  }

  /** What it shows while the next try is put off. */
  get backoff(): Waiting {
    return this.waiting;
  }
}

/** Something the container refers to is missing or wrong. */
export class ConfigError extends StartError {
  constructor(message: string, cause?: unknown) {
    super('CreateContainerConfigError', message, cause);
  }
}

/** The image could not be had. */
export class ImagePullError extends StartError {
  readonly #image: string;

  constructor(
    reason: string,
    options: { readonly image: string; readonly message: string; readonly cause?: unknown },
  ) {
    super(reason, options.message, options.cause);
    this.#image = options.image;
  }

  override get backoff(): Waiting {
    if (this.reason !== 'ErrImagePull') return this.waiting;
    return {
      reason: 'ImagePullBackOff',
      message: `Back-off pulling image "${this.#image}": ErrImagePull: ${this.message}`,
    };
  }
}
