/**
 * Structured log lines on stderr: one line an entry, `time level message key=value …`.
 * Constant message, past tense, no full stop; data goes in fields; never a secret.
 * Every package logs through a Logger it was given; only cmd makes one.
 */

export type Level = 'debug' | 'info' | 'warn' | 'error';
type Fields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A logger that adds these fields to each of its lines. */
  with(fields: Fields): Logger;
}

const ORDER: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Makes a logger that writes entries of `level` and above with `write` (default: stderr). */
export function createLogger(
  level: Level = 'info',
  write: (line: string) => void = toStderr,
): Logger {
  return make(level, write, {});
}

/** A logger that writes nothing. */
export const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silent,
};

function make(level: Level, write: (line: string) => void, bound: Fields): Logger {
  const at = (entry: Level) => (message: string, fields?: Fields) => {
    if (ORDER[entry] < ORDER[level]) return;
    write(
      `${new Date().toISOString()} ${entry.toUpperCase()} ${message}${render({ ...bound, ...fields })}\n`,
    );
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (fields) => make(level, write, { ...bound, ...fields }),
  };
}

function render(fields: Fields): string {
  let out = '';
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) out += ` ${key}=${text(value)}`;
  }
  return out;
}

function text(value: unknown): string {
  const plain =
    value instanceof Error
      ? describe(value)
      : typeof value === 'string'
        ? value
        : JSON.stringify(value);
  return /^[\w./:@+-]*$/.test(plain) ? plain : JSON.stringify(plain);
}

/** An error's message with those of its causes: `a: b: c`. Errors that carry the text of a cause do not say it twice. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  let text = error.message;
  const seen = new Set<unknown>([error]);
  for (let cause = error.cause; cause !== undefined && !seen.has(cause); ) {
    seen.add(cause);
    const own = cause instanceof Error ? cause.message : String(cause);
    if (!text.includes(own)) text = `${text}: ${own}`;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return text;
}

function toStderr(line: string): void {
  process.stderr.write(line);
}
