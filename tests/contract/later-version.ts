/** A proxy that sends the responses of a later version of the API: with unknown members, statuses and codes. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export const LATER = { status: 'status_of_a_later_version', code: 'code_of_a_later_version' } as const;
const MEMBER = 'member_of_a_later_version';

/** Members whose own members are chosen by users or by a model. */
const FREE = new Set([
  'metadata',
  'aliases',
  'version_counts',
  'images',
  'parts',
  'input',
  'inputs',
  'output',
  'outputs',
  'examples',
  'attributes',
]);

/** The JSON of a later version. Numbers, such as the status of a problem, stay. */
export function laterVersion(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(laterVersion);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]): [string, unknown] => {
    if (FREE.has(name) || name.endsWith('_schema')) return [name, member];
    if ((name === 'status' || name === 'code') && typeof member === 'string') return [name, LATER[name]];
    return [name, laterVersion(member)];
  });
  return Object.fromEntries([...members, [MEMBER, { a: [1] }]]);
}

export interface LaterVersion {
  url: string;
  close(): Promise<void>;
}

/** Starts the proxy before the API at `url`. */
export async function startLaterVersion(url: string): Promise<LaterVersion> {
  const server = createServer(async (request, reply) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers;
    const body = Buffer.concat(chunks);
    const response = await fetch(url + request.url, {
      method: request.method ?? 'GET',
      headers: headers as Record<string, string>,
      ...(body.length > 0 ? { body } : {}),
    });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    reply.writeHead(response.status, type === '' ? {} : { 'content-type': type });
    reply.end(type.includes('json') && text !== '' ? JSON.stringify(laterVersion(JSON.parse(text))) : text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
