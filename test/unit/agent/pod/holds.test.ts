/** What keeps containers from starting, and what makes another try worth while. */

import * as assert from 'uvu/assert';
import { Holds } from '../../../../pkg/agent/pod/holds.ts';
import { ConfigError, ImagePullError } from '../../../../pkg/agent/pod/start-error.ts';
import type { Container, Pod } from '../../../../pkg/api/generated/types.ts';
import { movableClock } from '../../../harness/movable-clock.ts';
import { suite } from '../../../harness/suite.ts';

suite('holds', ({ test }) => {
  test('a pod that is changed tries again what failed for what it says, and pulls no sooner', () => {
    const holds = new Holds(movableClock());
    const pod = (generation: number, annotations: Record<string, string>) =>
      ({ metadata: { name: 'p', uid: 'u', generation, annotations } }) as unknown as Pod;
    const reasons = (one: Pod) =>
      ['config', 'image'].map(
        (name) => holds.get(one, { name } as Container, undefined)?.waiting.reason,
      );
    const first = pod(1, {});
    holds.observe(first);
    const fail = () => {
      holds.failed('config', new ConfigError('no such key'));
      holds.failed('image', new ImagePullError('ErrImagePull', { image: 'i', message: 'no' }));
    };
    fail();
    holds.observe(pod(1, {}));
    assert.equal(reasons(first), ['CreateContainerConfigError', 'ErrImagePull']);
    holds.observe(pod(1, { key: 'value' }));
    assert.equal(reasons(first), [undefined, 'ErrImagePull']);
    fail();
    holds.observe(pod(2, { key: 'value' }));
    assert.equal(reasons(first), [undefined, 'ErrImagePull']);
  });
});
