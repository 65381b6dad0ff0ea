/** Reads a static pod from the text of a manifest file. Loaded once there is one: it needs the API's schema. */

import { createHash } from 'node:crypto';
import { parseAllDocuments } from 'yaml';
import { decodeObject } from '../../api/decode.ts';
import type { Container, Pod, PodSpec } from '../../api/generated/types.ts';
import { validateMeta } from '../../api/meta-validation.ts';
import { pods } from '../../api/resources/pod.ts';
import { KUBERNETES_YAML } from '../../api/yaml.ts';
import { CONFIG_HASH, CONFIG_SEEN, CONFIG_SOURCE, FROM_FILE } from './annotations.ts';

/** What is wrong with a manifest, for whoever wrote it. */
class ManifestError extends Error {}

interface ManifestFacts {
  readonly path: string;
  readonly nodeName: string;
  readonly nowMs: number;
}

const PRIORITIES: Readonly<Record<string, number>> = {
  'system-node-critical': 2_000_001_000,
  'system-cluster-critical': 2_000_000_000,
};
const UID_LENGTH = 32;

/** The pod as this node runs it. Its uid is that of its content. Throws a ManifestError. */
export function readManifest(text: string, facts: ManifestFacts): Pod {
  const pod = decodePod(parsed(text));
  const { path, nodeName, nowMs } = facts;
  const source = JSON.stringify([nodeName, path, pod]);
  const uid = createHash('sha256').update(source).digest('hex').slice(0, UID_LENGTH);
  const seen = new Date(nowMs).toISOString();
  const { name, namespace = 'default' } = pod.metadata;
  const made: Pod = {
    ...pod,
    metadata: {
      ...pod.metadata,
      name: `${name}-${nodeName.toLowerCase()}`,
      namespace,
      uid,
      resourceVersion: '',
      creationTimestamp: seen.replace(/\.\d+Z$/, 'Z'),
      annotations: {
        ...pod.metadata.annotations,
        [CONFIG_HASH]: uid,
        [CONFIG_SEEN]: seen,
        [CONFIG_SOURCE]: FROM_FILE,
      },
    },
    spec: specOf(pod.spec, nodeName),
  };
  const { status: _status, ...complete } = pods.defaults?.(made) ?? made;
  check(complete);
  return complete;
}

function parsed(text: string): unknown {
  const [document, ...others] = parseAllDocuments(text, KUBERNETES_YAML).filter(
    ({ contents }) => contents !== null,
  );
  if (!document) throw new ManifestError('the file is empty');
  if (others.length > 0) throw new ManifestError('a file may hold one pod only');
  const [error] = document.errors;
  if (error) throw new ManifestError(error.message);
  return document.toJS();
}

function decodePod(value: unknown): Pod {
  const { apiVersion, kind } = (value ?? {}) as { apiVersion?: unknown; kind?: unknown };
  if (apiVersion !== 'v1' || kind !== 'Pod')
    throw new ManifestError(`it must be a v1 Pod, not ${apiVersion} ${kind}`);
  try {
    return decodeObject(pods.type, value, 'Strict').object as unknown as Pod;
  } catch (error) {
    throw new ManifestError(error instanceof Error ? error.message : String(error));
  }
}

/** It belongs to this node, and no taint drives it away. */
function specOf(spec: PodSpec, nodeName: string): PodSpec {
  const priority = PRIORITIES[spec.priorityClassName ?? ''];
  return {
    ...spec,
    nodeName,
    tolerations: [...(spec.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }],
    ...(priority === undefined ? {} : { priority }),
  };
}

function check(pod: Pod): void {
  const causes = [...validateMeta(pod, pods), ...pods.validate(pod)];
  const [first] = causes.map(({ field, message }) => `${field}: ${message}`);
  if (first !== undefined) throw new ManifestError(first);
  const references = referencesIn(pod.spec);
  if (references.length > 0) {
    const fields = references.join(', ');
    throw new ManifestError(`a static pod may not refer to objects of the API: ${fields}`);
  }
}

const REFERRING = [
  ...['configMap', 'secret', 'projected', 'persistentVolumeClaim', 'ephemeral', 'csi'],
] as const;

/** The fields that name objects of the API. */
function referencesIn(spec: PodSpec): readonly string[] {
  const own = {
    serviceAccountName: spec.serviceAccountName ?? '',
    resourceClaims: (spec.resourceClaims ?? []).length,
    imagePullSecrets: (spec.imagePullSecrets ?? []).length,
    ephemeralContainers: (spec.ephemeralContainers ?? []).length,
  };
  const volumes = (spec.volumes ?? []).flatMap((volume) =>
    REFERRING.filter((kind) => kind in volume).map((kind) => `volume "${volume.name}" ${kind}`),
  );
  return [
    ...Object.entries(own).flatMap(([field, value]) => (value ? [`spec.${field}`] : [])),
    ...volumes,
    ...[...(spec.initContainers ?? []), ...spec.containers].flatMap(variablesIn),
  ];
}

function variablesIn({ name, env = [], envFrom = [] }: Container): readonly string[] {
  const refers = env.some(({ valueFrom }) => valueFrom?.configMapKeyRef ?? valueFrom?.secretKeyRef);
  return [
    ...(refers ? [`container "${name}" env.valueFrom`] : []),
    ...(envFrom.length > 0 ? [`container "${name}" envFrom`] : []),
  ];
}
