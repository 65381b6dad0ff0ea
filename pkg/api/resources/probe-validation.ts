/** What probes and lifecycle handlers must be. */

import {
  type Causes,
  forbiddenField,
  invalidEach,
  invalidValue,
  notNegative,
  notSupported,
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
    .map((name) => forbiddenField(`${path}.${name}`, 'may not specify more than 1 handler type'));
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

/** What the hooks' checks need to know of the pod. */
export interface LifecycleContext {
  readonly graceSeconds: number | undefined;
  readonly os: string | undefined;
}

/** Everything that is wrong with a container's hooks and its stop signal. */
export function lifecycleCauses(
  lifecycle: Lifecycle | undefined,
  path: string,
  { graceSeconds, os }: LifecycleContext,
): Causes {
  const { stopSignal } = lifecycle ?? {};
  return [
    ...(['postStart', 'preStop'] as const).flatMap((name) => {
      const hook = lifecycle?.[name];
      if (!hook) return [];
      const at = `${path}.${name}`;
      return [...handlerCauses(hook, at), ...sleepCauses(hook, `${at}.sleep`, graceSeconds)];
    }),
    ...(stopSignal === undefined ? [] : signalCauses(stopSignal, `${path}.stopSignal`, os)),
  ];
}

function sleepCauses(
  { sleep }: LifecycleHandler,
  path: string,
  graceSeconds: number | undefined,
): Causes {
  if (!sleep || graceSeconds === undefined) return [];
  const why = `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`;
  const isWrong = sleep.seconds < 0 || sleep.seconds > graceSeconds;
  return isWrong ? [invalidValue(path, sleep.seconds, why)] : [];
}

const WINDOWS_SIGNALS = ['SIGKILL', 'SIGTERM'];
/** SIGRTMIN and SIGRTMAX are this far apart. */
const RT_SPAN = 30;
const RT_HALF = RT_SPAN / 2;
const LINUX_SIGNALS = [
  ...'SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT'.split(
    ' ',
  ),
  ...'SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGSEGV SIGSTKFLT SIGSTOP SIGSYS'.split(' '),
  ...'SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM'.split(' '),
  ...'SIGWINCH SIGXCPU SIGXFSZ SIGRTMIN SIGRTMAX'.split(' '),
  ...Array.from({ length: RT_HALF }, (_, index) => `SIGRTMIN+${index + 1}`),
  ...Array.from({ length: RT_HALF - 1 }, (_, index) => `SIGRTMAX-${index + 1}`),
];

function signalCauses(signal: string, path: string, os: string | undefined): Causes {
  if (!os) return [forbiddenField(path, 'may not be set for containers with empty `spec.os.name`')];
  const known = os === 'windows' ? WINDOWS_SIGNALS : LINUX_SIGNALS;
  return known.includes(signal) ? [] : [notSupported(path, signal, known.toSorted())];
}
