/** Reference parsing and completion, by Docker's rules. */

import * as assert from 'uvu/assert';
import { ImageError } from '../../../pkg/image/image-store.ts';
import { format, parseReference } from '../../../pkg/image/reference.ts';
import { suite } from '../../harness/suite.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const GOOD: readonly (readonly [text: string, full: string])[] = [
  ['busybox', 'docker.io/library/busybox:latest'],
  ['busybox:1.36', 'docker.io/library/busybox:1.36'],
  ['mini/hello', 'docker.io/mini/hello:latest'],
  ['docker.io/busybox', 'docker.io/library/busybox:latest'],
  ['index.docker.io/busybox', 'docker.io/library/busybox:latest'],
  ['localhost/a', 'localhost/a:latest'],
  ['localhost:5000/a/b:t', 'localhost:5000/a/b:t'],
  ['quay.io/a', 'quay.io/a:latest'],
  ['[::1]:5000/a:b', '[::1]:5000/a:b'],
  ['a__b/c.d-e', 'docker.io/a__b/c.d-e:latest'],
  [`busybox@${DIGEST}`, `docker.io/library/busybox@${DIGEST}`],
  [`busybox:1@${DIGEST}`, `docker.io/library/busybox@${DIGEST}`],
  ['registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:3.10'],
];
const BAD = [
  '',
  'Busybox',
  'a//b',
  'a/',
  '/a',
  'a:',
  'a:b c',
  'a@sha256:12',
  `a@sha512:${'a'.repeat(128)}`,
  '-a',
  'a_',
  'http://host/a',
  'a/B',
  `a:${'t'.repeat(129)}`,
  'x'.repeat(256),
  '../a',
];

suite('image references', ({ test }) => {
  for (const [text, full] of GOOD) {
    test(`${text} means ${full}`, () => {
      assert.is(format(parseReference(text)), full);
      assert.is(format(parseReference(full)), full, 'the full form means itself');
    });
  }

  for (const text of BAD) {
    test(`"${text.slice(0, 40)}" is refused`, () => {
      assert.throws(
        () => parseReference(text),
        (error: unknown) => error instanceof ImageError && error.code === 'InvalidReference',
      );
    });
  }
});
