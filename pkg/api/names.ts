/**
 * The syntax of names, labels and annotations, each check returning Kubernetes's own sentences (none = valid).
 * Source: apimachinery pkg/util/validation, pkg/api/validation.
 */

type Check = (value: string) => readonly string[];

const DNS_LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const DNS_LABEL_MAX = 63;
const DNS_SUBDOMAIN = `${DNS_LABEL}(\\.${DNS_LABEL})*`;
const DNS_SUBDOMAIN_MAX = 253;
const DNS_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const LABEL_VALUE = `(${QUALIFIED})?`;
const LABEL_VALUE_MAX = 63;
const QUALIFIED_MAX = 63;
const PORT_NAME_MAX = 15;
const PORT_MAX = 65535;

const whole = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`);
const IS_LABEL = whole(DNS_LABEL);
const IS_SUBDOMAIN = whole(DNS_SUBDOMAIN);
const IS_1035 = whole(DNS_1035);
const IS_QUALIFIED = whole(QUALIFIED);
const IS_LABEL_VALUE = whole(LABEL_VALUE);
const IS_CONFIG_KEY = whole('[-._a-zA-Z0-9]+');
const IS_PERCENT = whole('[0-9]+%');

/** Kubernetes's "(e.g. …, regex used for validation is '…')" sentence. */
function regexSentence(message: string, pattern: string, ...examples: readonly string[]): string {
  const shown = examples.map((example) => `'${example}'`).join(' or ');
  const example = shown ? `e.g. ${shown.replaceAll("' or '", "',  or '")}, ` : '';
  return `${message} (${example}regex used for validation is '${pattern}')`;
}

function tooLong(max: number): string {
  return `must be no more than ${max} bytes`;
}

const byteLength = (text: string): number => Buffer.byteLength(text);

const LABEL_SENTENCE = regexSentence(
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  DNS_LABEL,
  'my-name',
  '123-abc',
);
const SUBDOMAIN_SENTENCE = regexSentence(
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  DNS_SUBDOMAIN,
  'example.com',
);
const SENTENCE_1035 = regexSentence(
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
  DNS_1035,
  'my-name',
  'abc-123',
);
const QUALIFIED_SENTENCE = regexSentence(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  QUALIFIED,
  'MyName',
  'my.name',
  '123-abc',
);
const LABEL_VALUE_SENTENCE = regexSentence(
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  LABEL_VALUE,
  'MyValue',
  'my_value',
  '12345',
);

function sized(value: string, max: number, isValid: boolean, sentence: string): readonly string[] {
  const long = byteLength(value) > max ? [tooLong(max)] : [];
  return isValid ? long : [...long, sentence];
}

/** RFC 1123 label: names of namespaces, containers, volumes, ports' hosts. */
export const dnsLabel: Check = (value) =>
  sized(value, DNS_LABEL_MAX, IS_LABEL.test(value), LABEL_SENTENCE);

/** RFC 1123 subdomain: names of most objects. */
export const dnsSubdomain: Check = (value) =>
  sized(value, DNS_SUBDOMAIN_MAX, IS_SUBDOMAIN.test(value), SUBDOMAIN_SENTENCE);

/** RFC 1035 label: begins with a letter. */
export const dns1035Label: Check = (value) =>
  sized(value, DNS_LABEL_MAX, IS_1035.test(value), SENTENCE_1035);

/** Names that only have to be one path segment: RBAC objects and priority levels. */
export const pathSegmentName: Check = (value) => {
  if (value === '.' || value === '..') return [`may not be '${value}'`];
  return ['/', '%'].filter((bad) => value.includes(bad)).map((bad) => `may not contain '${bad}'`);
};

/** Keys of labels, annotations, resources: an optional DNS prefix, a slash, and a name. */
export const qualifiedName: Check = (value) => {
  const parts = value.split('/');
  const name = parts.at(-1) ?? '';
  if (parts.length > 2) {
    return [
      `a qualified name ${QUALIFIED_SENTENCE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const prefix = parts.length === 2 ? prefixErrors(parts[0] ?? '') : [];
  if (name === '')
    return [...prefix, 'name part must be non-empty', `name part ${QUALIFIED_SENTENCE}`];
  const isValid = IS_QUALIFIED.test(name);
  const long = byteLength(name) > QUALIFIED_MAX ? [`name part ${tooLong(QUALIFIED_MAX)}`] : [];
  return [...prefix, ...long, ...(isValid ? [] : [`name part ${QUALIFIED_SENTENCE}`])];
};

function prefixErrors(prefix: string): readonly string[] {
  if (prefix === '') return ['prefix part must be non-empty'];
  return dnsSubdomain(prefix).map((why) => `prefix part ${why}`);
}

/** The value of a label: may be empty. */
export const labelValue: Check = (value) =>
  sized(value, LABEL_VALUE_MAX, IS_LABEL_VALUE.test(value), LABEL_VALUE_SENTENCE);

/** Environment variables: anything printable but '='. */
export const envName: Check = (value) => {
  if (value === '') return ['environment variable name must not be empty'];
  return /^[ -<>-~]+$/.test(value)
    ? []
    : [
        "a valid environment variable name must consist only of printable ASCII characters other than '='",
      ];
};

/** Keys of ConfigMaps and Secrets: file names. */
export const configKey: Check = (value) => {
  const long = byteLength(value) > DNS_SUBDOMAIN_MAX ? [tooLong(DNS_SUBDOMAIN_MAX)] : [];
  if (!IS_CONFIG_KEY.test(value)) {
    return [
      ...long,
      regexSentence(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        '[-._a-zA-Z0-9]+',
        'key.name',
        'KEY_NAME',
        'key-name',
      ),
    ];
  }
  if (value === '.') return [...long, "must not be '.'"];
  if (value === '..') return [...long, "must not be '..'"];
  return value.startsWith('..') ? [...long, "must not start with '..'"] : long;
};

/** Names of container and service ports: IANA service names. */
export const portName: Check = (value) => {
  const errors: string[] = [];
  if (value.length > PORT_NAME_MAX) errors.push(tooLong(PORT_NAME_MAX));
  if (!/^[-a-z0-9]+$/.test(value)) {
    errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  }
  if (!/[a-z]/.test(value)) errors.push('must contain at least one letter (a-z)');
  if (value.includes('--')) errors.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) {
    errors.push('must not begin or end with a hyphen');
  }
  return errors;
};

/** Port numbers: 1 to 65535. */
export function portNumber(value: number): readonly string[] {
  return value >= 1 && value <= PORT_MAX ? [] : [`must be between 1 and ${PORT_MAX}, inclusive`];
}

/** "25%". */
export const percentage: Check = (value) =>
  IS_PERCENT.test(value)
    ? []
    : [
        regexSentence(
          "a valid percent string must be a numeric string followed by an ending '%'",
          '[0-9]+%',
          '1%',
          '93%',
        ),
      ];
