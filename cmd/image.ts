/** `mini image …`: the images of this node. Asks the agent that runs here, through its Unix socket. */

import { createReadStream, createWriteStream, existsSync, statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { archiveOf } from './archive.ts';
import { type Command, type Flag, type Flags, UserError } from './command.ts';
import { DEFAULT_RUN_DIR } from './server-flags.ts';

const RUN_DIR: Flag = {
  name: 'run-dir',
  value: 'dir',
  help: 'run-time files of the agent',
  default: DEFAULT_RUN_DIR,
};

interface Summary {
  readonly id: string;
  readonly tags: readonly string[];
  readonly digests: readonly string[];
  readonly sizeBytes: number;
  readonly createdAt: string;
}

const REFERENCE = { name: '<image>', help: 'name[:tag], name@digest or id' };

export const imageCommand: Command = {
  name: 'image',
  group: 'Administration:',
  summary: 'Manage the images of this node',
  commands: [
    {
      name: 'ls',
      summary: 'List images',
      flags: [
        RUN_DIR,
        {
          name: 'output',
          short: 'o',
          value: 'format',
          help: 'form of the output',
          default: 'table',
          isLocal: true,
          choices: ['table', 'json'],
        },
      ],
      run: listImages,
    },
    {
      name: 'import',
      summary: 'Import an archive of docker save, an OCI archive or an OCI layout directory',
      arguments: [
        {
          name: '<source>',
          help: 'file (plain, gzip or zstd), directory, or - for standard input',
        },
      ],
      flags: [
        RUN_DIR,
        {
          name: 'tag',
          value: 'name',
          help: 'name for an image that the archive leaves nameless',
          isLocal: true,
        },
      ],
      examples: `  docker save web:1 | mini image import -
  mini image import web.tar.gz`,
      run: importImages,
    },
    {
      name: 'export',
      summary: 'Write images as an archive that docker load reads',
      arguments: [{ name: '<image...>', help: REFERENCE.help }],
      flags: [
        RUN_DIR,
        {
          name: 'output',
          short: 'o',
          value: 'file',
          help: 'file to write; standard output when absent',
          isLocal: true,
        },
      ],
      run: exportImages,
    },
    {
      name: 'pull',
      summary: 'Pull an image from its registry',
      arguments: [REFERENCE],
      flags: [RUN_DIR],
      run: pullImage,
    },
    {
      name: 'rm',
      summary: 'Remove images',
      arguments: [{ name: '<image...>', help: REFERENCE.help }],
      flags: [RUN_DIR],
      run: removeImages,
    },
    {
      name: 'prune',
      summary: 'Remove all images that no container uses; imported ones stay',
      flags: [RUN_DIR],
      run: pruneImages,
    },
  ],
};

async function listImages(flags: Flags): Promise<number> {
  const images = (await json(await ask(flags, 'GET', '/images'))) as readonly Summary[];
  if (flags.text('output') === 'json') {
    process.stdout.write(`${JSON.stringify(images, undefined, 2)}\n`);
    return 0;
  }
  const rows = images.flatMap((image) =>
    (image.tags.length > 0 ? image.tags : ['<none>']).map((tag) => row(tag, image)),
  );
  process.stdout.write(table([['IMAGE', 'ID', 'SIZE'], ...rows]));
  return 0;
}

function row(tag: string, { id, sizeBytes }: Summary): string[] {
  return [tag, id.replace('sha256:', '').slice(0, 12), sizeText(sizeBytes)];
}

function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('   ');
  return rows.map((cells) => `${line(cells).trimEnd()}\n`).join('');
}

async function importImages(flags: Flags, [source = '-']: readonly string[]): Promise<number> {
  const tag = flags.optional('tag');
  const answer = await ask(
    flags,
    'POST',
    `/images/import${tag ? `?tag=${encodeURIComponent(tag)}` : ''}`,
    openSource(source),
  );
  for (const { tags, id } of (await json(answer)) as readonly Summary[])
    process.stdout.write(`${tags.join(' ') || id}\n`);
  return 0;
}

/** A directory travels as a tar of it. */
function openSource(source: string): Readable {
  if (source === '-') return process.stdin;
  if (!existsSync(source)) throw new UserError(`${source} does not exist`);
  return statSync(source).isDirectory() ? archiveOf(source) : createReadStream(source);
}

async function exportImages(flags: Flags, references: readonly string[]): Promise<number> {
  const path = flags.optional('output');
  if (!path && process.stdout.isTTY)
    throw new UserError('An archive is not for a terminal: use --output or redirect it');
  const query = references
    .map((reference) => `reference=${encodeURIComponent(reference)}`)
    .join('&');
  const answer = await ask(flags, 'GET', `/images/export?${query}`);
  await pipeline(answer, path ? createWriteStream(path) : process.stdout);
  return 0;
}

async function pullImage(flags: Flags, [reference = '']: readonly string[]): Promise<number> {
  const answer = await ask(
    flags,
    'POST',
    `/images/pull?reference=${encodeURIComponent(reference)}`,
  );
  const { default: readline } = await import('node:readline');
  for await (const line of readline.createInterface({ input: answer })) {
    const { image, error } = JSON.parse(line) as { image?: Summary; error?: string };
    if (error) throw new UserError(`Cannot pull ${reference}: ${error}`);
    if (image) process.stdout.write(`${image.tags.join(' ') || image.id}\n`);
  }
  return 0;
}

async function removeImages(flags: Flags, references: readonly string[]): Promise<number> {
  for (const reference of references) {
    await json(await ask(flags, 'DELETE', `/images?reference=${encodeURIComponent(reference)}`));
    process.stdout.write(`${reference}\n`);
  }
  return 0;
}

async function pruneImages(flags: Flags): Promise<number> {
  const removed = (await json(await ask(flags, 'POST', '/images/prune'))) as readonly Summary[];
  for (const { tags, id } of removed) process.stdout.write(`${tags.join(' ') || id}\n`);
  const bytes = removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  process.stdout.write(`Removed ${removed.length} images of ${sizeText(bytes)} (as pulled)\n`);
  return 0;
}

/** Sends a request to the agent; resolves to a successful answer, rejects with the agent's own words otherwise. */
async function ask(
  flags: Flags,
  method: string,
  path: string,
  body?: Readable,
): Promise<IncomingMessage> {
  const socketPath = join(flags.text('run-dir'), 'agent.sock');
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(
      { socketPath, method, path, headers: body ? { 'transfer-encoding': 'chunked' } : {} },
      resolve,
    );
    sent.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(socketPath, error)));
    if (body) pipeline(body, sent).catch(reject);
    else sent.end();
  });
  if (answer.statusCode === 200) return answer;
  const { error } = (await json(answer)) as { error?: string };
  throw new UserError(error ?? `The agent answered ${answer.statusCode}`);
}

function unreachable(path: string, error: NodeJS.ErrnoException): Error {
  if (error.code === 'EACCES') return new UserError(`${path} is root's: run this as root`);
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
    return new UserError(`No agent answers at ${path}: is mini running here, with this --run-dir?`);
  }
  return error;
}

async function json(answer: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}
