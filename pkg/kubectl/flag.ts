/** The flags of a verb, and those of every verb. */

export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  /** `list` splits at commas, `array` does not; both may be given several times. */
  readonly type: 'switch' | 'text' | 'number' | 'list' | 'array';
  readonly help: string;
  readonly default?: string;
  /** What the flag means when it stands without a value, for those that may. */
  readonly bare?: string;
  readonly choices?: readonly string[];
}

/** Flags of every verb. */
export const GLOBAL_FLAGS: readonly FlagSpec[] = [
  { name: 'kubeconfig', type: 'text', help: 'Path to the kubeconfig file to use.' },
  { name: 'context', type: 'text', help: 'The name of the kubeconfig context to use.' },
  {
    name: 'namespace',
    short: 'n',
    type: 'text',
    help: 'If present, the namespace scope for this request.',
  },
  { name: 'server', short: 's', type: 'text', help: 'The address of the Kubernetes API server.' },
  { name: 'token', type: 'text', help: 'Bearer token for authentication to the API server.' },
  {
    name: 'request-timeout',
    type: 'text',
    default: '0',
    help: 'How long to wait before giving up on a single request, e.g. 1s, 2m; zero means the default of 60s.',
  },
  { name: 'help', short: 'h', type: 'switch', help: 'Help for the command.' },
];
