/**
 * Makes the program inside: a single executable application of the bundle and a stripped Node, by pkg. Run by build.mjs
 * as `node program.mjs <main.cjs> <output> <x64|arm64>` with HOME at the seeded cache, in a process of its own: pkg
 * prints to the console whatever it is told, and looks for Node in $HOME/.pkg-cache only.
 */

import { createRequire } from 'node:module';

const [bundle, output, arch] = process.argv.slice(2);
const { default: sea } = createRequire(import.meta.url)('@yao-pkg/pkg/lib-es5/sea.js');
await sea(bundle, {
  targets: [{ nodeRange: `node${process.version.slice(1)}`, platform: 'linux', arch, output }],
  signature: false,
  seaConfig: {
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    // V8 rejects code that another architecture compiled.
    useCodeCache: arch === process.arch,
    execArgv: [],
    execArgvExtension: 'none',
  },
});
