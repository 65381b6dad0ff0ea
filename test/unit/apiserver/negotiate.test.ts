import * as assert from 'uvu/assert';
import { isReason } from '../../../pkg/api/errors.ts';
import { discoveryVersionOf, formOf } from '../../../pkg/apiserver/negotiate.ts';
import { suite } from '../../harness/suite.ts';

const TABLE =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json';

suite('Content negotiation', ({ test }) => {
  const cases = [
    [undefined, 'object', 'json'],
    ['*/*', 'object', 'json'],
    ['application/json, */*', 'object', 'json'],
    ['application/vnd.kubernetes.protobuf,application/json', 'object', 'json'],
    ['application/vnd.kubernetes.protobuf', 'object', 'protobuf'],
    ['application/yaml', 'object', 'yaml'],
    [TABLE, 'table', 'json'],
    ['application/json;as=Unheard;v=v1;g=meta.k8s.io, application/json', 'object', 'json'],
    ['application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1', 'metadata', 'json'],
  ] as const;
  for (const [accept, shape, encoding] of cases) {
    test(`answers "${accept}" with ${shape} in ${encoding}`, () => {
      const form = formOf(accept);
      assert.equal([form.shape, form.encoding], [shape, encoding]);
    });
  }

  test('refuses forms that it does not serve', () => {
    for (const accept of ['text/html', 'application/json;as=Table;v=v1;g=other']) {
      try {
        formOf(accept);
        assert.unreachable();
      } catch (error) {
        assert.ok(isReason(error, 'NotAcceptable'));
      }
    }
  });

  test('finds the version of aggregated discovery', () => {
    const accept =
      'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
    assert.is(discoveryVersionOf(accept), 'v2');
    assert.is(discoveryVersionOf('application/json'), undefined);
  });
});
