/** What probes and lifecycle handlers must be. */

import {
  type Causes,
  invalidEach,
  invalidValue,
  notNegative,
  oneOf,
  required,
} from '../field-errors.ts';
import type { HTTPGetAction, Lifecycle, LifecycleHandler, Probe } from '../generated/types.ts';
import { portName, portNumber } from '../names.ts';

const HEADER = /^[-A-Za-z0-9]+$/;

/** A port's number, or the name of one. */
function portCauses(path: string, port: string | number | undefined): Causes {
  if (typeof port === 'string') return invalidEach(path, port, portName(port));
  return invalidEach(path, port ?? 0, portNumber(port ?? 0));
}

function httpCauses(get: HTTPGetAction, path: string): Causes {
  const headers = (get.httpHeaders ?? []).filter(({ name }) => !HEADER.test(name));
  const why =
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
  return [
    ...(get.path ? [] : [required(`${path}.path`)]),
    ...portCauses(`${path}.port`, get.port),
    ...oneOf(`${path}.scheme`, get.scheme, ['HTTP', 'HTTPS']),
    ...headers.map(({ name }) => invalidValue(`${path}.httpHeaders`, name, why)),
  ];
}

const HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const;
type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> &
  Pick<LifecycleHandler, 'sleep'>;

function handlerCauses(handler: Handler, path: string): Causes {
  const { exec, httpGet, tcpSocket, grpc } = handler;
  const given = HANDLERS.filter((name) => handler[name] !== undefined);
  const many = given
    .slice(1)
    .map((name) =>
      invalidValue(`${path}.${name}`, handler[name], 'may not specify more than 1 handler type'),
    );
  return [
    ...(given.length === 0 ? [required(path, 'must specify a handler type')] : many),
    ...(exec && !exec.command?.length ? [required(`${path}.exec.command`)] : []),
    ...(httpGet ? httpCauses(httpGet, `${path}.httpGet`) : []),
    ...(tcpSocket ? portCauses(`${path}.tcpSocket.port`, tcpSocket.port) : []),
    ...(grpc ? portCauses(`${path}.grpc.port`, grpc.port) : []),
  ];
}

const NUMBERS = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
] as const;

/** Everything that is wrong with a probe; only readiness may ask for several successes. */
export function probeCauses(
  probe: Probe | undefined,
  path: string,
  role: 'liveness' | 'readiness' | 'startup',
): Causes {
  if (!probe) return [];
  const { successThreshold = 1, terminationGracePeriodSeconds: grace } = probe;
  const isOnce = role === 'readiness' || successThreshold === 1;
  return [
    ...handlerCauses(probe, path),
    ...NUMBERS.flatMap((name) => notNegative(`${path}.${name}`, probe[name])),
    ...(isOnce ? [] : [invalidValue(`${path}.successThreshold`, successThreshold, 'must be 1')]),
    ...(grace !== undefined && role === 'readiness'
      ? [
          invalidValue(
            `${path}.terminationGracePeriodSeconds`,
            grace,
            'must not be set for readinessProbes',
          ),
        ]
      : []),
    ...(grace !== undefined && grace <= 0
      ? [invalidValue(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than 0')]
      : []),
  ];
}

/** Everything that is wrong with a container's hooks. */
export function lifecycleCauses(lifecycle: Lifecycle | undefined, path: string): Causes {
  const { postStart, preStop } = lifecycle ?? {};
  return [
    ...(postStart ? handlerCauses(postStart, `${path}.postStart`) : []),
    ...(preStop ? handlerCauses(preStop, `${path}.preStop`) : []),
  ];
}
