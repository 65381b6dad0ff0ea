/**
 * A container's environment: services first, then envFrom, then env in its order, each value expanded with what
 * stands before it.
 */

import type {
  ConfigMap,
  Container,
  EnvVar,
  EnvVarSource,
  FileKeySelector,
  Pod,
  Secret,
  Service,
} from '../../api/generated/types.ts';
import type { ReferenceKind } from '../references.ts';
import { parseEnvFile } from './env-file.ts';
import { expand } from './expand.ts';
import { type FieldFacts, fieldValue, resourceValue } from './field-ref.ts';
import { ConfigError } from './start-error.ts';

export interface EnvSources extends FieldFacts {
  readonly services: readonly Service[];
  lookup(kind: ReferenceKind, name: string): Promise<ConfigMap | Secret | undefined>;
  /** Text of a file of a volume, which never leaves it; undefined when there is none. */
  readFile(volume: string, path: string): string | undefined;
}

/** Variables by name, in the order they are set. Rejects with a ConfigError that names what is missing. */
export async function containerEnv(
  container: Container,
  sources: EnvSources,
): Promise<ReadonlyMap<string, string>> {
  const services = serviceEnv(sources.pod, sources.services);
  const variables = await fromObjects(container, sources);
  for (const variable of container.env ?? []) {
    const known = new Map([...services, ...variables]);
    const value = await valueFor(variable, container, { sources, known });
    if (value !== undefined) variables.set(variable.name, value);
  }
  return new Map([...services, ...variables]);
}

async function fromObjects(
  container: Container,
  sources: EnvSources,
): Promise<Map<string, string>> {
  const variables = new Map<string, string>();
  for (const source of container.envFrom ?? []) {
    const { prefix = '', configMapRef, secretRef } = source;
    const kind = configMapRef ? 'configmaps' : 'secrets';
    const reference = configMapRef ?? secretRef;
    if (!reference?.name) continue;
    const object = await sources.lookup(kind, reference.name);
    if (!object && !reference.optional) throw missing(kind, reference.name);
    for (const [key, value] of Object.entries(textData(object))) variables.set(prefix + key, value);
  }
  return variables;
}

interface ValueContext {
  readonly sources: EnvSources;
  readonly known: ReadonlyMap<string, string>;
}

async function valueFor(
  { name, value, valueFrom }: EnvVar,
  container: Container,
  { sources, known }: ValueContext,
): Promise<string | undefined> {
  if (!valueFrom) return expand(value ?? '', known);
  const own = ownValue(valueFrom, container, sources);
  if (own !== undefined) return own;
  if (valueFrom.fileKeyRef) return fileValue(valueFrom.fileKeyRef, sources);
  const { configMapKeyRef, secretKeyRef } = valueFrom;
  const reference = configMapKeyRef ?? secretKeyRef;
  if (!reference?.name)
    throw new ConfigError(`env ${name}: this kind of valueFrom is not supported`);
  const kind = configMapKeyRef ? 'configmaps' : 'secrets';
  const object = await sources.lookup(kind, reference.name);
  if (!object && !reference.optional) throw missing(kind, reference.name);
  const found = textData(object)[reference.key];
  if (found !== undefined || reference.optional) return found;
  const what = kind === 'configmaps' ? 'ConfigMap' : 'Secret';
  const full = `${sources.pod.metadata.namespace}/${reference.name}`;
  throw new ConfigError(`couldn't find key ${reference.key} in ${what} ${full}`);
}

function fileValue(
  { volumeName, path, key, optional = false }: FileKeySelector,
  sources: EnvSources,
): string | undefined {
  const text = sources.readFile(volumeName, path);
  if (text === undefined) {
    if (optional) return undefined;
    throw new ConfigError(`couldn't read file "${path}" of volume "${volumeName}"`);
  }
  let value: string | undefined;
  try {
    value = parseEnvFile(text).get(key);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`couldn't parse environment file "${path}": ${why}`, error);
  }
  if (value !== undefined || optional) return value;
  throw new ConfigError(`environment variable key "${key}" not found in file "${path}"`);
}

/** A value of the pod itself; undefined when the source is another object. */
function ownValue(
  { fieldRef, resourceFieldRef }: EnvVarSource,
  container: Container,
  sources: EnvSources,
): string | undefined {
  try {
    if (fieldRef) return fieldValue(sources, fieldRef.fieldPath);
    if (resourceFieldRef) return resourceValue(sources, resourceFieldRef, container);
    return undefined;
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error), error);
  }
}

function missing(kind: ReferenceKind, name: string): ConfigError {
  return new ConfigError(`${kind === 'configmaps' ? 'configmap' : 'secret'} "${name}" not found`);
}

function textData(object: ConfigMap | Secret | undefined): Readonly<Record<string, string>> {
  const data = object?.data ?? {};
  if (object?.kind !== 'Secret') return data;
  const decoded = Object.entries(data).map(([key, value]) => [
    key,
    Buffer.from(value, 'base64').toString(),
  ]);
  return Object.fromEntries(decoded);
}

/** `<NAME>_SERVICE_HOST` and so on of the namespace's services, and always of default/kubernetes. */
function serviceEnv(pod: Pod, services: readonly Service[]): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  const isWanted = ({ metadata: { namespace, name } }: Service) =>
    (namespace === 'default' && name === 'kubernetes') ||
    (namespace === pod.metadata.namespace && pod.spec.enableServiceLinks !== false);
  for (const service of services.filter(isWanted)) addService(service, variables);
  return variables;
}

function addService({ metadata, spec }: Service, variables: Map<string, string>): void {
  const ip = spec?.clusterIP;
  const ports = spec?.ports ?? [];
  if (!ip || ip === 'None' || !ports[0]) return;
  const prefix = metadata.name.toUpperCase().replaceAll('-', '_');
  variables.set(`${prefix}_SERVICE_HOST`, ip);
  variables.set(`${prefix}_SERVICE_PORT`, String(ports[0].port));
  for (const { name, port } of ports) {
    if (name)
      variables.set(
        `${prefix}_SERVICE_PORT_${name.toUpperCase().replaceAll('-', '_')}`,
        String(port),
      );
  }
  const host = ip.includes(':') ? `[${ip}]` : ip;
  for (const [index, { port, protocol = 'TCP' }] of ports.entries()) {
    const lower = protocol.toLowerCase();
    const url = `${lower}://${host}:${port}`;
    if (index === 0) variables.set(`${prefix}_PORT`, url);
    const own = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
    variables.set(own, url);
    variables.set(`${own}_PROTO`, lower);
    variables.set(`${own}_PORT`, String(port));
    variables.set(`${own}_ADDR`, ip);
  }
}
