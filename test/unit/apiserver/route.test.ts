import * as assert from 'uvu/assert';
import { routeOf } from '../../../pkg/apiserver/route.ts';
import { suite } from '../../harness/suite.ts';

function route(method: string, url: string) {
  const { pathname, searchParams } = new URL(url, 'http://test');
  return routeOf({
    method,
    path: pathname,
    query: searchParams,
    headers: {},
    user: { name: 'u', groups: [] },
    signal: new AbortController().signal,
  });
}

suite('Routes', ({ test }) => {
  const cases = [
    ['GET', '/api/v1/pods', 'list', '', 'pods', '', '', ''],
    ['GET', '/api/v1/pods?watch=1', 'watch', '', 'pods', '', '', ''],
    ['GET', '/api/v1/pods?watch=false', 'list', '', 'pods', '', '', ''],
    ['GET', '/api/v1/watch/pods', 'watch', '', 'pods', '', '', ''],
    ['GET', '/api/v1/namespaces/a', 'get', 'a', 'namespaces', 'a', '', ''],
    ['PUT', '/api/v1/namespaces/a/finalize', 'update', 'a', 'namespaces', 'a', 'finalize', ''],
    ['POST', '/api/v1/namespaces/a/pods', 'create', 'a', 'pods', '', '', ''],
    ['DELETE', '/api/v1/namespaces/a/pods', 'deletecollection', 'a', 'pods', '', '', ''],
    ['DELETE', '/api/v1/namespaces/a/pods/p', 'delete', 'a', 'pods', 'p', '', ''],
    [
      'PATCH',
      '/apis/apps/v1/namespaces/a/deployments/d/scale',
      'patch',
      'a',
      'deployments',
      'd',
      'scale',
      '',
    ],
    [
      'GET',
      '/api/v1/namespaces/a/pods/p:80/proxy/x/y',
      'get',
      'a',
      'pods',
      'p:80',
      'proxy',
      '/x/y',
    ],
    ['GET', '/api/v1/nodes?fieldSelector=metadata.name%3Dn', 'list', '', 'nodes', 'n', '', ''],
  ] as const;
  for (const [method, url, verb, namespace, resource, name, subresource, trailing] of cases) {
    test(`reads ${method} ${url}`, () => {
      const found = route(method, url);
      assert.equal(
        [
          found.verb,
          found.namespace,
          found.resource,
          found.name,
          found.subresource,
          found.trailing,
        ],
        [verb, namespace, resource, name, subresource, trailing],
      );
    });
  }

  test('leaves the path behind a proxy as it was written', () => {
    const { trailing } = route('GET', '/api/v1/nodes/n/proxy/a%0d%0ab//c%2Fd/?x=1');
    assert.is(trailing, '/a%0d%0ab//c%2Fd/');
  });

  test('takes discovery and health for paths that are no resources', () => {
    for (const path of ['/', '/api', '/api/v1', '/apis/apps/v1', '/healthz', '/version']) {
      const { isResource, verb } = route('GET', path);
      assert.equal([isResource, verb], [false, 'get'], path);
    }
  });
});
