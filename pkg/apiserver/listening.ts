/** Where the server listens, and with which certificates. */

export interface TlsOptions {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** Client certificates are checked against this; absent = none are asked for. */
  readonly clientCa?: string | Buffer;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** Absent = plain HTTP. */
  readonly tls?: TlsOptions;
}

export interface Listening {
  readonly port: number;
  /** New connections use this certificate. */
  renew(tls: TlsOptions): void;
  close(): Promise<void>;
}

/** The options in Node's words. */
export function contextOf({ cert, key, clientCa }: TlsOptions) {
  return { cert, key, ...(clientCa ? { ca: clientCa } : {}), minVersion: 'TLSv1.2' as const };
}
