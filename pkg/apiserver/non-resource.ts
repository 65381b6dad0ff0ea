/** Paths that are no resources: discovery, version, health, metrics, OpenAPI. */

import { allResources } from '../api/resources.ts';
import type { ServerRequest, ServerResponse } from './contract.ts';
import {
  aggregated,
  coreVersions,
  type GroupVersions,
  groupList,
  groupOf,
  groupsOf,
  resourceList,
} from './discovery.ts';
import type { NonResource } from './dispatch.ts';
import { type HealthCheck, health } from './health.ts';
import { discoveryVersionOf } from './negotiate.ts';
import { openApi } from './openapi.ts';

/** Kubernetes' version that this server speaks, and of which build. */
export interface Version {
  /** `v1.36.0+mini` */
  readonly gitVersion: string;
  readonly gitCommit: string;
  readonly buildDate: string;
}

export interface NonResourceOptions {
  readonly version: Version;
  readonly checks: readonly HealthCheck[];
  /** Text of /metrics. */
  readonly metrics: () => Promise<string>;
}

/** Makes the handler of all paths that are no resources. */
export function nonResource(options: NonResourceOptions): NonResource {
  const groups = groupsOf(allResources);
  const documents = openApi(allResources);
  return async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
    const path = request.path.replace(/\/+$/, '') || '/';
    if (path === '/version') return object(versionBody(options.version));
    if (path === '/metrics') return metricsBody(await options.metrics());
    if (path === '/') return object({ paths: pathsOf(groups) });
    const local = { ...request, path };
    const known = health(options.checks, local) ?? discovery(groups, local);
    return known ?? (await documents(local));
  };
}

function discovery(
  groups: readonly GroupVersions[],
  request: ServerRequest,
): ServerResponse | undefined {
  const [root, group, version, ...rest] = request.path.slice(1).split('/');
  if ((root !== 'api' && root !== 'apis') || rest.length > 0) return undefined;
  if (group === undefined) return rootDocument(groups, request);
  if (root === 'api')
    return version === undefined ? list(groups, { group: '', version: group }) : undefined;
  if (version !== undefined) return list(groups, { group, version });
  const found = groups.find((each) => each.group === group && group !== '');
  return found && object(groupOf(found));
}

function rootDocument(groups: readonly GroupVersions[], request: ServerRequest): ServerResponse {
  const isCore = request.path === '/api';
  const version = discoveryVersionOf(request.headers['accept']);
  if (version) {
    const own = groups.filter(({ group }) => (group === '') === isCore);
    return {
      kind: 'bytes',
      status: 200,
      contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
      body: Buffer.from(JSON.stringify(aggregated(own, version))),
      headers: { vary: 'Accept' },
    };
  }
  return object(isCore ? coreVersions(request.headers['host'] ?? '') : groupList(groups));
}

function list(
  groups: readonly GroupVersions[],
  { group, version }: { readonly group: string; readonly version: string },
): ServerResponse | undefined {
  const found = groups
    .find((each) => each.group === group)
    ?.versions.find((each) => each.version === version);
  return found && object(resourceList(group ? `${group}/${version}` : version, found.rows));
}

function pathsOf(groups: readonly GroupVersions[]): readonly string[] {
  const named = groups.flatMap(({ group, versions }) =>
    group === ''
      ? []
      : [`/apis/${group}`, ...versions.map(({ version }) => `/apis/${group}/${version}`)],
  );
  return [
    '/api',
    '/api/v1',
    '/apis',
    ...named,
    '/healthz',
    '/livez',
    '/metrics',
    '/openapi/v2',
    '/openapi/v3',
    '/readyz',
    '/version',
  ];
}

function versionBody({ gitVersion, gitCommit, buildDate }: Version): object {
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(gitVersion) ?? [];
  return {
    major,
    minor,
    gitVersion,
    gitCommit,
    gitTreeState: 'clean',
    buildDate,
    goVersion: `node-${process.version}`,
    compiler: 'v8',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}

function metricsBody(text: string): ServerResponse {
  const contentType = 'text/plain; version=0.0.4; charset=utf-8';
  return { kind: 'bytes', status: 200, contentType, body: Buffer.from(text) };
}

function object(body: object): ServerResponse {
  return { kind: 'object', status: 200, body };
}
