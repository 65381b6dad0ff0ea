/** Prometheus' text format, and the instruments that feed it. */

import * as assert from 'uvu/assert';
import { expose } from '../../../../pkg/agent/stats/exposition.ts';
import { Counter, Histogram } from '../../../../pkg/agent/stats/instruments.ts';
import { suite } from '../../../harness/suite.ts';

suite('exposition', ({ test }) => {
  test('families with labels and times; empty ones are left out', () => {
    const text = expose([
      {
        name: 'a_bytes',
        help: 'A',
        type: 'gauge',
        samples: [{ value: 1.5, atMs: 12.2, labels: { x: 'say "\\"\n', y: '' } }],
      },
      { name: 'b', help: 'B', type: 'gauge', samples: [] },
    ]);
    assert.is(
      text,
      '# HELP a_bytes A\n# TYPE a_bytes gauge\na_bytes{x="say \\"\\\\\\"\\n",y=""} 1.5 12\n',
    );
  });

  test('counters count by labels and forget them', () => {
    const counter = new Counter({ name: 'c_total', help: 'C' });
    counter.add({ pod: 'a' });
    counter.add({ pod: 'a' }, 2);
    counter.add({ pod: 'b' });
    counter.forget('pod', 'b');
    assert.equal(counter.family().samples, [{ labels: { pod: 'a' }, value: 3 }]);
  });

  test('a histogram counts upwards', () => {
    const histogram = new Histogram({ name: 'h', help: 'H' }, [1, 2]);
    for (const value of [0.5, 2, 9]) histogram.observe(value);
    const lines = expose([histogram.family()]).split('\n').slice(2, -1);
    assert.equal(lines, [
      'h_bucket{le="1"} 1',
      'h_bucket{le="2"} 2',
      'h_bucket{le="+Inf"} 3',
      'h_sum 11.5',
      'h_count 3',
    ]);
  });
});
