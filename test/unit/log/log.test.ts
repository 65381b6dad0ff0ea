/** How errors read: with their causes, and nothing twice. */

import * as assert from 'uvu/assert';
import { describe } from '../../../pkg/log/log.ts';
import { suite } from '../../harness/suite.ts';

suite('log', ({ test }) => {
  test('an error is told with all its causes, each once', () => {
    const refused = new Error('connect ECONNREFUSED 127.0.0.1:1');
    const unreachable = new Error('cannot reach a: nothing listens there', { cause: refused });
    const said = new Error('cannot pull a/b: cannot reach a: nothing listens there', {
      cause: unreachable,
    });
    assert.is(
      describe(said),
      'cannot pull a/b: cannot reach a: nothing listens there: connect ECONNREFUSED 127.0.0.1:1',
    );
    assert.is(describe(new Error('a', { cause: 'b' })), 'a: b');
    assert.is(describe(7), '7');
  });

  test('an error that is its own cause ends', () => {
    const error = new Error('a', { cause: undefined });
    error.cause = new Error('b', { cause: error });
    assert.is(describe(error), 'a: b');
  });
});
