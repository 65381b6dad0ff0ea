/** Reads of one repository at one endpoint, with one set of credentials: signs in when asked to, retries what may pass. */

import type { Logger } from '../../log/log.ts';
import { Backoff } from '../../wait/backoff.ts';
import { sleep } from '../../wait/clock.ts';
import { type Credentials, ImageError } from '../image-store.ts';
import { MAX_ATTEMPTS, RETRY_FIRST_MS, RETRY_MAX_MS } from '../limits.ts';
import { authorize } from './auth.ts';
import { type HttpClient, type RegistryResponse, TransferError } from './http.ts';
import type { Endpoint } from './registries.ts';

export interface SessionOptions {
  readonly http: HttpClient;
  readonly endpoint: Endpoint;
  readonly credentials: Credentials | undefined;
  readonly log: Logger;
}

export class RegistrySession {
  readonly #options: SessionOptions;
  #authorization: string | undefined;
  #signIn: Promise<void> | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  get host(): string {
    return new URL(this.#options.endpoint.origin).host;
  }

  /** GET `<prefix>/<repository>/<path>`; answers with 200 or 206 only. Throws ImageError, or TransferError. */
  async get(
    path: string,
    headers: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<RegistryResponse> {
    const used = this.#authorization;
    const first = await this.#send(path, headers, signal);
    if (first.status !== 401) return this.#checked(first, path);
    first.body.destroy();
    // Another request may have signed in since this one was sent.
    if (this.#authorization === used) await this.#authorize(first, signal);
    if (this.#authorization === undefined || this.#authorization === used) {
      throw this.#unauthorized();
    }
    const second = await this.#send(path, headers, signal);
    return this.#checked(second, path);
  }

  /** Does `work` again, with growing pauses, while it fails in a way that may pass. */
  async retry<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const backoff = new Backoff({ firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS, jitter: 0.3 });
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof TransferError)) throw error;
        if (attempt >= MAX_ATTEMPTS) {
          throw new ImageError(
            'Unreachable',
            `${error.message} (${attempt} attempts)`,
            error.cause,
          );
        }
        this.#options.log.debug('Retried a registry request', { host: this.host, error });
        await sleep(backoff.next(), signal);
      }
    }
  }

  #send(
    path: string,
    headers: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<RegistryResponse> {
    const { http, endpoint } = this.#options;
    const { origin, prefix, repository, mirrorOf, tls } = endpoint;
    const query = mirrorOf === undefined ? '' : `?ns=${encodeURIComponent(mirrorOf)}`;
    const authorization: Record<string, string> =
      this.#authorization === undefined ? {} : { authorization: this.#authorization };
    return http.send(
      {
        url: `${origin}${prefix}/${repository}/${path}${query}`,
        headers: { ...headers, ...authorization },
        tls,
      },
      signal,
    );
  }

  /** Several requests that are refused at once sign in once. */
  async #authorize(refused: RegistryResponse, signal?: AbortSignal): Promise<void> {
    const header = refused.headers['www-authenticate'] ?? '';
    const { http, endpoint, credentials } = this.#options;
    this.#signIn ??= authorize(http, { header, endpoint, credentials }, signal).then(
      (authorization) => {
        this.#authorization = authorization;
      },
    );
    try {
      await this.#signIn;
    } finally {
      this.#signIn = undefined;
    }
  }

  #checked(response: RegistryResponse, path: string): RegistryResponse {
    const { status, body } = response;
    if (status === 200 || status === 206) return response;
    body.destroy();
    const { repository } = this.#options.endpoint;
    if (status === 401 || status === 403) throw this.#unauthorized();
    if (status === 404) {
      throw new ImageError('NotFound', `${this.host} has no ${repository} ${path}`);
    }
    if (status === 429 || status === 408 || status >= 500) {
      throw new TransferError(
        status === 429
          ? `${this.host} limits how often it may be asked (429); wait, or sign in`
          : `${this.host} answered with status ${status}`,
      );
    }
    throw new ImageError('Unreachable', `${this.host} answered ${path} with status ${status}`);
  }

  #unauthorized(): ImageError {
    const { credentials, endpoint } = this.#options;
    const hint =
      credentials === undefined
        ? 'give a user name and password for it in registries.yaml or an image pull secret'
        : 'the user name or password was not accepted, or may not read this image';
    return new ImageError(
      'Unauthorized',
      `${this.host} does not let ${endpoint.repository} be read without permission; ${hint}`,
    );
  }
}
