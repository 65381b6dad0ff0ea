/** Defaults of pods and of every kind that carries a pod template. Source: kubernetes pkg/apis/core/v1/defaults.go. */

import { change, each, fill } from '../defaulting.ts';
import type {
  Container,
  ContainerPort,
  EnvVar,
  EphemeralContainer,
  Lifecycle,
  Pod,
  PodSpec,
  PodTemplateSpec,
  Probe,
  ResourceRequirements,
} from '../generated/types.ts';
import { containersQuantity, POD_RESOURCES } from '../pod-resources.ts';
import { canonicalQuantity, QuantityError } from '../quantity.ts';
import { volumeDefaults } from './volume-defaults.ts';

type Quantities = Readonly<Record<string, string>>;

/** Quantities in canonical form, rounded as Kubernetes stores them; what is no quantity is left for validation. */
export function quantityDefaults(list: Quantities): Quantities {
  let result = list;
  for (const [name, value] of Object.entries(list)) {
    const canonical = canonicalOrSame(value);
    if (canonical !== value) result = { ...result, [name]: canonical };
  }
  return result;
}

function canonicalOrSame(value: string): string {
  return quietly(() => canonicalQuantity(value)) ?? value;
}

function httpScheme<T extends Probe | NonNullable<Lifecycle['postStart']>>(action: T): T {
  const { httpGet } = action;
  if (!httpGet || (httpGet.scheme && httpGet.path)) return action;
  return { ...action, httpGet: fill(httpGet, { path: '/', scheme: 'HTTP' }) };
}

function probeDefaults(probe: Probe): Probe {
  const filled = fill(httpScheme(probe), {
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  });
  return change(filled, { grpc: (grpc) => fill(grpc, { service: '' }) });
}

/** Requests that are absent are what the limits say. */
function resourceDefaults(resources: ResourceRequirements): ResourceRequirements {
  const canonical = change(resources, { limits: quantityDefaults, requests: quantityDefaults });
  const { limits, requests } = canonical;
  if (!limits) return canonical;
  const missing = Object.keys(limits).some((name) => requests?.[name] === undefined);
  return missing ? { ...canonical, requests: { ...limits, ...requests } } : canonical;
}

/** Always for ":latest" and no tag, IfNotPresent for another tag or a digest. */
export function pullPolicyOf(image = ''): string {
  const name = image.slice(image.lastIndexOf('/') + 1);
  if (name.includes('@')) return 'IfNotPresent';
  const tag = name.split(':')[1];
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function envDefaults(variable: EnvVar): EnvVar {
  return change(variable, {
    valueFrom: (source) =>
      change(source, {
        fieldRef: (ref) => fill(ref, { apiVersion: 'v1' }),
        resourceFieldRef: (ref) => fill(ref, { divisor: '0' }),
        fileKeyRef: (ref) => fill(ref, { optional: false }),
      }),
  });
}

function lifecycleDefaults(lifecycle: Lifecycle): Lifecycle {
  return change(lifecycle, { postStart: httpScheme, preStop: httpScheme });
}

function portDefaults(port: ContainerPort): ContainerPort {
  return fill(port, { protocol: 'TCP' });
}

function containerDefaults<T extends Container | EphemeralContainer>(container: T): T {
  const filled = fill<Container | EphemeralContainer>(container, {
    imagePullPolicy: pullPolicyOf(container.image),
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    resources: {},
  });
  const quantities = { limits: quantityDefaults, requests: quantityDefaults };
  // The fields named here are the same in both kinds of container.
  return change<Container | EphemeralContainer>(filled, {
    ports: each(portDefaults),
    env: each(envDefaults),
    livenessProbe: probeDefaults,
    readinessProbe: probeDefaults,
    startupProbe: probeDefaults,
    lifecycle: lifecycleDefaults,
    resources: (resources) => change(resources, quantities),
  }) as T;
}

/** Defaults of a pod's spec, in a pod or in a template. */
function podSpecDefaults(spec: PodSpec): PodSpec {
  const filled = fill(spec, {
    restartPolicy: 'Always',
    dnsPolicy: 'ClusterFirst',
    schedulerName: 'default-scheduler',
    terminationGracePeriodSeconds: 30,
    securityContext: {},
  });
  return accountDefaults(
    change(filled, {
      containers: each(containerDefaults),
      initContainers: each(containerDefaults),
      ephemeralContainers: each(containerDefaults),
      volumes: each(volumeDefaults),
      overhead: quantityDefaults,
    }),
  );
}

/** Both names of the service account say the same; serviceAccountName wins. */
function accountDefaults(spec: PodSpec): PodSpec {
  const name = spec.serviceAccountName || spec.serviceAccount;
  if (!name || (spec.serviceAccountName === name && spec.serviceAccount === name)) return spec;
  return { ...spec, serviceAccountName: name, serviceAccount: name };
}

/** Defaults of a pod template. */
export function templateDefaults(template: PodTemplateSpec): PodTemplateSpec {
  return change(fill(template, { metadata: {} }), { spec: podSpecDefaults });
}

/** What only a pod gets, not a template: requests from limits, host ports, service links. */
function ownDefaults(spec: PodSpec): PodSpec {
  const own = (container: Container): Container =>
    change(spec.hostNetwork ? change(container, { ports: each(hostPort) }) : container, {
      resources: resourceDefaults,
    });
  const filled = change(fill(spec, { enableServiceLinks: true }), {
    containers: each(own),
    initContainers: each(own),
  });
  return change(filled, { resources: (resources) => wholeDefaults(filled, resources) });
}

/** What a pod with limits of its own asks for: what its containers do, else its limits. */
function wholeDefaults(spec: PodSpec, resources: ResourceRequirements): ResourceRequirements {
  const canonical = change(resources, { limits: quantityDefaults, requests: quantityDefaults });
  const { limits, requests } = canonical;
  if (!limits || Object.keys(limits).length === 0) return canonical;
  const ofContainers = POD_RESOURCES.flatMap((name) => {
    const sum = quietly(() => containersQuantity(spec, 'requests', name));
    return sum === undefined ? [] : [[name, sum]];
  });
  return {
    ...canonical,
    requests: { ...limits, ...Object.fromEntries(ofContainers), ...requests },
  };
}

/** Undefined when something is no quantity: validation tells of it. */
function quietly(read: () => string | undefined): string | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof QuantityError) return undefined;
    throw error;
  }
}

function hostPort(port: ContainerPort): ContainerPort {
  return fill(port, { hostPort: port.containerPort });
}

/** Defaults of a pod. */
export function podDefaults(pod: Pod): Pod {
  return change(fill(pod, { status: {} }), { spec: (spec) => ownDefaults(podSpecDefaults(spec)) });
}
