/** How connections that fail are told in events: as the kubelet does, for those who read or match them. */

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'i/o timeout',
  ECONNRESET: 'read: connection reset by peer',
};

/** `10.0.0.1:80`, `[::1]:80`. */
export function hostPort(host: string, port: number | string): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The error of a connection to this address; others as they are. */
export function dialFailure(error: Error, address: string): Error {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const words = WORDS[code];
  if (words) return new Error(`dial tcp ${address}: ${words}`, { cause: error });
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const name = address.slice(0, address.lastIndexOf(':'));
    return new Error(`dial tcp: lookup ${name}: no such host`, { cause: error });
  }
  return error;
}
