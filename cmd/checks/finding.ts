/** What a check of the host found. */

export type Level = 'ok' | 'degraded' | 'missing';

export interface Finding {
  /** `degraded`: mini runs without it; `missing`: it does not. */
  readonly level: Level;
  /** What was looked at. */
  readonly subject: string;
  /** What is there; where it is not ok, what follows from that. */
  readonly text: string;
  /** How to mend it. */
  readonly mend?: string;
}

/** One sentence for logs and node conditions. */
export function sentence({ subject, text, mend }: Finding): string {
  return `${subject}: ${text}${mend ? `; ${mend}` : ''}`;
}
