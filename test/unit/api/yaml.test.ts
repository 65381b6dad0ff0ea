/** YAML means the same to whoever reads it: kubectl, the API server, the node. */

import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { readManifest } from '../../../pkg/agent/static/manifest.ts';
import { KUBERNETES_YAML } from '../../../pkg/api/yaml.ts';
import { parseYamlBody } from '../../../pkg/apiserver/decode.ts';
import { suite } from '../../harness/suite.ts';

suite('api: yaml', ({ test }) => {
  test('a mode that begins with 0 is octal, yes and no are booleans, times are text', () => {
    const text = 'mode: 0644\nis: yes\nat: 1:30\nday: 2026-01-01\n';
    const value = { mode: 0o644, is: true, at: '1:30', day: '2026-01-01' };
    assert.equal(parse(text, KUBERNETES_YAML), value);
    assert.equal(parseYamlBody(Buffer.from(text)), value);
  });

  test('so are modes of static pods', () => {
    const pod = `apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  containers: [{ name: c, image: "known:1" }]
  volumes: [{ name: v, hostPath: { path: /x } }, { name: d, downwardAPI: { defaultMode: 0400 } }]
`;
    const { spec } = readManifest(pod, { path: 'web.yaml', nodeName: 'n1', nowMs: 0 });
    assert.is(spec.volumes?.[1]?.downwardAPI?.defaultMode, 0o400);
  });
});
