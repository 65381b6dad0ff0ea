import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { kubeconfigPaths, loadKubeconfig } from '../../../pkg/client/kubeconfig.ts';
import { suite } from '../../harness/suite.ts';

const FIRST = `
current-context: one
clusters:
- name: c
  cluster: { server: "https://first:6443", certificate-authority: ca.pem, tls-server-name: api }
contexts:
- name: one
  context: { cluster: c, user: token, namespace: team }
- name: plugin
  context: { cluster: c, user: plugin }
- name: dangling
  context: { cluster: none, user: token }
users:
- name: token
  user: { tokenFile: token.txt }
- name: plugin
  user: { exec: { command: aws } }
`;
const SECOND = `
current-context: two
clusters:
- name: c
  cluster: { server: "https://second:6443" }
- name: d
  cluster: { server: "https://third:6443", insecure-skip-tls-verify: true }
contexts:
- name: two
  context: { cluster: d, user: basic }
users:
- name: basic
  user: { username: u, password: p }
`;

suite('kubeconfig', ({ test, cleanup }) => {
  const files = () => {
    const dir = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
    cleanup(() => rmSync(dir, { recursive: true }));
    const write = (name: string, text: string) => {
      writeFileSync(join(dir, name), text);
      return join(dir, name);
    };
    write('ca.pem', 'CA');
    write('token.txt', 'secret\n');
    return { paths: [write('first', FIRST), join(dir, 'missing'), write('second', SECOND)], write };
  };

  test('the first file wins, and relative paths start at its folder', () => {
    const { paths } = files();
    const { context, namespace, transport } = loadKubeconfig({ paths });
    assert.equal([context, namespace], ['one', 'team']);
    assert.equal(transport.servers, ['https://first:6443']);
    assert.equal(transport.tls, { ca: 'CA', servername: 'api' });
    const { token } = transport;
    assert.is(typeof token === 'function' ? token() : token, 'secret');
  });

  test('another context may be chosen, from any of the files', () => {
    const { transport, namespace } = loadKubeconfig({ paths: files().paths, context: 'two' });
    assert.is(namespace, 'default');
    assert.equal(transport.tls, { isInsecure: true });
    assert.equal(transport.basic, { username: 'u', password: 'p' });
  });

  const refusals: readonly [string, RegExp][] = [
    ['plugin', /User "plugin" logs in with an exec plugin, which mini does not run; use kubectl/],
    ['dangling', /names no cluster with a server/],
    ['unknown', /Context "unknown" does not exist/],
  ];
  for (const [context, message] of refusals) {
    test(`refuses the context ${context}`, () => {
      assert.throws(() => loadKubeconfig({ paths: files().paths, context }), message);
    });
  }

  test('says which file cannot be read, and that there is none', () => {
    const { write } = files();
    const broken = write('broken', 'a: [');
    assert.throws(() => loadKubeconfig({ paths: [broken] }), /Cannot read kubeconfig .*broken/);
    assert.throws(() => loadKubeconfig({ paths: [] }), /No current context in any kubeconfig/);
  });

  test('looks where kubectl looks', () => {
    assert.equal(kubeconfigPaths({ KUBECONFIG: '/a::/b', HOME: '/root' }), ['/a', '/b']);
    assert.equal(kubeconfigPaths({ HOME: '/root' }), ['/root/.kube/config']);
    assert.equal(kubeconfigPaths({}), []);
  });
});
