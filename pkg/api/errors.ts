/**
 * The closed vocabulary of API errors: one StatusError, one constructor per Kubernetes reason, codes as in
 * apimachinery's errors.go. Lower layers throw their own errors; apiserver translates them once.
 */

export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** metav1.Status as it goes over the wire. */
export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code: number;
}

/** The HTTP code of each reason. Source: apimachinery pkg/api/errors/errors.go. */
const CODES = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServerTimeout: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
} as const;

export type Reason = keyof typeof CODES;

export class StatusError extends Error {
  readonly reason: Reason;
  readonly code: number;
  readonly details: StatusDetails | undefined;

  constructor(reason: Reason, message: string, details?: StatusDetails, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.code = CODES[reason];
    this.details = details;
  }

  /** This error as the metav1.Status that clients read. */
  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details ? { details: this.details } : {}),
      code: this.code,
    };
  }
}

/** Whether `error` is a StatusError of this reason. */
export function isReason(error: unknown, reason: Reason): boolean {
  return error instanceof StatusError && error.reason === reason;
}

/** `resource` in messages is `plural` or `plural.group`, as kubectl users know it. */
export interface ResourceName {
  readonly plural: string;
  readonly group: string;
}

function qualified({ plural, group }: ResourceName): string {
  return group ? `${plural}.${group}` : plural;
}

function about({ plural, group }: ResourceName, name: string): StatusDetails {
  return { name, ...(group ? { group } : {}), kind: plural };
}

export function notFound(resource: ResourceName, name: string): StatusError {
  return new StatusError(
    'NotFound',
    `${qualified(resource)} "${name}" not found`,
    about(resource, name),
  );
}

export function alreadyExists(resource: ResourceName, name: string): StatusError {
  return new StatusError(
    'AlreadyExists',
    `${qualified(resource)} "${name}" already exists`,
    about(resource, name),
  );
}

export function conflict(resource: ResourceName, name: string, why: string): StatusError {
  return new StatusError(
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`,
    about(resource, name),
  );
}

/** `kind` is the object's kind here, as clients print it: `Pod "web" is invalid: …`. */
export function invalid(
  gk: { kind: string; group: string },
  name: string,
  causes: readonly StatusCause[],
): StatusError {
  const each = causes.map(({ field, message }) => (field ? `${field}: ${message}` : message));
  const list = each.length === 1 ? each[0] : `[${each.join(', ')}]`;
  const qualifiedKind = gk.group ? `${gk.kind}.${gk.group}` : gk.kind;
  return new StatusError('Invalid', `${qualifiedKind} "${name}" is invalid: ${list}`, {
    name,
    ...(gk.group ? { group: gk.group } : {}),
    kind: gk.kind,
    causes,
  });
}

export function forbidden(resource: ResourceName, name: string, why: string): StatusError {
  const object = name ? ` "${name}"` : '';
  return new StatusError(
    'Forbidden',
    `${qualified(resource)}${object} is forbidden: ${why}`,
    about(resource, name),
  );
}

export function badRequest(message: string, cause?: unknown): StatusError {
  return new StatusError('BadRequest', message, undefined, cause);
}

export function unauthorized(message = 'Unauthorized'): StatusError {
  return new StatusError('Unauthorized', message);
}

export function expired(message: string): StatusError {
  return new StatusError('Expired', message);
}

export function methodNotAllowed(resource: ResourceName, verb: string): StatusError {
  return new StatusError(
    'MethodNotAllowed',
    `${verb} is not supported on resources of kind "${qualified(resource)}"`,
    {
      ...(resource.group ? { group: resource.group } : {}),
      kind: resource.plural,
    },
  );
}

export function unsupportedMediaType(message: string): StatusError {
  return new StatusError('UnsupportedMediaType', message);
}

export function notAcceptable(message: string): StatusError {
  return new StatusError('NotAcceptable', message);
}

export function tooLarge(message: string): StatusError {
  return new StatusError('RequestEntityTooLarge', message);
}

export function tooManyRequests(message: string, retryAfterSeconds: number): StatusError {
  return new StatusError('TooManyRequests', message, { retryAfterSeconds });
}

export function internalError(cause: unknown): StatusError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StatusError(
    'InternalError',
    `Internal error occurred: ${why}`,
    { causes: [{ message: why }] },
    cause,
  );
}

export function unavailable(message: string, cause?: unknown): StatusError {
  return new StatusError('ServiceUnavailable', message, undefined, cause);
}

/** Rebuilds the error from a Status that a server answered with. */
export function fromStatus(status: Partial<Status>): StatusError {
  const reason =
    status.reason !== undefined && status.reason in CODES
      ? (status.reason as Reason)
      : reasonOf(status.code);
  return new StatusError(reason, status.message ?? 'unknown error', status.details);
}

function reasonOf(code = 500): Reason {
  const found = (Object.keys(CODES) as Reason[]).find((reason) => CODES[reason] === code);
  return found ?? 'InternalError';
}
