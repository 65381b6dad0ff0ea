/** The helper's answers as the contract's types; the only place that trusts their shape. */

import type { ContainerState, Exit, Sandbox } from './runtime.ts';
import { RuntimeError } from './runtime.ts';

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (!isObject(value)) throw new RuntimeError('EPROTO', `${what} is no object`);
  return value;
}

/** Reads an exit as a shim writes it. Throws RuntimeError on another shape. */
export function decodeExit(value: unknown): Exit {
  const from = object(value, 'exit');
  if (typeof from['id'] !== 'string' || typeof from['exitCode'] !== 'number')
    throw new RuntimeError('EPROTO', 'exit lacks id or exitCode');
  return from as unknown as Exit;
}

/** Reads a container's state. Throws RuntimeError on another shape. */
export function decodeState(value: unknown): ContainerState {
  const from = object(value, 'container state');
  if (typeof from['id'] !== 'string' || typeof from['status'] !== 'string')
    throw new RuntimeError('EPROTO', 'container state lacks id or status');
  return from as unknown as ContainerState;
}

/** Reads a sandbox. Throws RuntimeError on another shape. */
export function decodeSandbox(value: unknown): Sandbox {
  const from = object(value, 'sandbox');
  if (typeof from['id'] !== 'string' || !isObject(from['namespaces']))
    throw new RuntimeError('EPROTO', 'sandbox lacks id or namespaces');
  return from as unknown as Sandbox;
}

/** Reads a list with `entry` for each. Throws RuntimeError when it is none. */
export function decodeList<T>(value: unknown, entry: (value: unknown) => T): readonly T[] {
  if (!Array.isArray(value)) throw new RuntimeError('EPROTO', 'answer is no list');
  return value.map(entry);
}

/** Reads a process id. Throws RuntimeError on anything else. */
export function decodePid(value: unknown): number {
  if (typeof value !== 'number') throw new RuntimeError('EPROTO', 'process id is no number');
  return value;
}

/** Reads the path of a device. Throws RuntimeError on another shape. */
export function decodeDevice(value: unknown): string {
  const { device } = object(value, 'device');
  if (typeof device !== 'string') throw new RuntimeError('EPROTO', 'answer lacks device');
  return device;
}
