/** Options of logs that mean nothing are refused before anybody reads a log. */

import * as assert from 'uvu/assert';
import { StatusError } from '../../../pkg/api/errors.ts';
import { checkLogOptions } from '../../../pkg/apiserver/log-options.ts';
import { suite } from '../../harness/suite.ts';

suite('log options', ({ test }) => {
  for (const [query, why] of [
    ['tailLines=0&limitBytes=1&sinceSeconds=1&stream=Stdout', ''],
    ['follow=true&sinceTime=2026-01-01T00:00:00Z', ''],
    ['tailLines=-1', 'tailLines: Invalid value: -1: must be greater than or equal to 0'],
    ['limitBytes=0', 'limitBytes: Invalid value: 0: must be greater than 0'],
    ['sinceSeconds=0', 'sinceSeconds: Invalid value: 0: must be greater than 0'],
    [
      'sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z',
      'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
    ],
    ['stream=x', 'stream: Unsupported value: "x": supported values: "All", "Stderr", "Stdout"'],
  ] as const) {
    test(query, () => {
      const check = () => checkLogOptions('web', new URLSearchParams(query));
      if (why === '') return check();
      assert.throws(
        check,
        (error: unknown) =>
          error instanceof StatusError &&
          error.code === 422 &&
          error.message === `PodLogOptions "web" is invalid: ${why}`,
      );
    });
  }
});
