/** Horizontal pod autoscalers: two versions of one object, and what is printed of it. */

import * as assert from 'uvu/assert';
import type { ApiObject } from '../../../../pkg/api/meta.ts';
import { findResource } from '../../../../pkg/api/resources.ts';
import { suite } from '../../../harness/suite.ts';
import { cells, defaulted, headers, make } from './fixtures.ts';

suite('horizontal pod autoscalers', ({ test }) => {
  const v1 = findResource('autoscaling', 'v1', 'horizontalpodautoscalers');
  const target = { kind: 'Deployment', name: 'web' };

  function convert(object: ApiObject): { stored: ApiObject; shown: ApiObject } {
    if (!v1?.storage) throw new Error('autoscaling/v1 has no storage');
    const stored = v1.storage.toStorage(object);
    return { stored, shown: v1.storage.fromStorage(stored) };
  }

  test('of version 1 are stored as version 2', () => {
    const given = {
      ...make('horizontalpodautoscalers', {
        spec: {
          minReplicas: 1,
          maxReplicas: 5,
          scaleTargetRef: target,
          targetCPUUtilizationPercentage: 60,
        },
      }),
      apiVersion: 'autoscaling/v1',
    };
    const { stored, shown } = convert(given);
    assert.is(stored.apiVersion, 'autoscaling/v2');
    const { spec } = stored as unknown as { spec: { metrics: object[] } };
    assert.equal(spec.metrics, [
      {
        type: 'Resource',
        resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } },
      },
    ]);
    assert.equal(
      (shown as unknown as { spec: object }).spec,
      (given as unknown as { spec: object }).spec,
    );
    assert.is(shown.metadata.annotations, undefined);
  });

  test('lose nothing on the way through version 1', () => {
    const spec = {
      minReplicas: 1,
      maxReplicas: 5,
      scaleTargetRef: target,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'memory', target: { type: 'Utilization', averageUtilization: 70 } },
        },
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } },
        },
      ],
      behavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
    };
    const stored = defaulted('horizontalpodautoscalers', { spec });
    const back = convert(v1?.storage?.fromStorage(stored) ?? stored).stored;
    assert.equal(
      (back as unknown as { spec: object }).spec,
      (stored as unknown as { spec: object }).spec,
    );
  });

  test('print what they aim at', () => {
    const object = defaulted('horizontalpodautoscalers', {
      spec: { maxReplicas: 5, scaleTargetRef: target },
      status: {
        currentReplicas: 2,
        currentMetrics: [
          { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 12 } } },
        ],
      },
    });
    assert.equal(headers('horizontalpodautoscalers'), [
      'NAME',
      'REFERENCE',
      'TARGETS',
      'MINPODS',
      'MAXPODS',
      'REPLICAS',
      'AGE',
    ]);
    assert.equal(cells('horizontalpodautoscalers', object), [
      'web',
      'Deployment/web',
      'cpu: 12%/80%',
      '1',
      5,
      2,
      '90s',
    ]);
  });
});
