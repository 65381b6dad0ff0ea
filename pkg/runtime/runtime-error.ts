/** Errors of helper calls, and reading the helper's answers. */

import { RuntimeError } from './runtime.ts';

/** The RuntimeError that an answer's `error` stands for; undefined when there is none. */
export function decodeError(value: unknown): RuntimeError | undefined {
  if (typeof value !== 'object' || value === null || !('error' in value)) return undefined;
  const { error } = value;
  if (typeof error !== 'object' || error === null) return undefined;
  const code = 'code' in error ? String(error.code) : 'EHELPER';
  const message = 'message' in error ? String(error.message) : 'the runtime helper failed';
  return new RuntimeError(code, message);
}

/** Parses JSON of the helper. Throws RuntimeError when it is none. */
export function decodeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RuntimeError('EPROTO', 'the runtime helper answered no JSON', cause);
  }
}

/** Any failure as a RuntimeError that says what was tried. */
export function toRuntimeError(what: string, cause: unknown): RuntimeError {
  if (cause instanceof RuntimeError) return cause;
  const code =
    cause instanceof Error && 'code' in cause && typeof cause.code === 'string'
      ? cause.code
      : 'EHELPER';
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new RuntimeError(code, `${what}: ${detail}`, cause);
}
