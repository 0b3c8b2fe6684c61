// `node autocannon-child.mjs LOAD.json` drives a load with autocannon and prints the figures as JSON. The bodies of the
// load are base64. The file is JavaScript because autocannon has no types.
import { readFile } from 'node:fs/promises';
import autocannon from 'autocannon';

const load = JSON.parse(await readFile(process.argv[2], 'utf8'));
let count = Math.floor(Math.random() * 1e7);

// See Fresh in load.ts.
const makers = {
  decimal: () => Buffer.from(String(count % 1e7).padStart(7, '0')),
  base64: () => Buffer.from(Buffer.from([count >> 16, count >> 8, count]).toString('base64')),
  float: () => Buffer.from([count, count >> 8, (count >> 16) & 0x7f]),
};

function requestOf(text) {
  const body = Buffer.from(text, 'base64');
  if (!load.fresh) return { body };
  const { kind, at } = load.fresh;
  const setupRequest = (request) => {
    count += 1;
    const changed = Buffer.from(body);
    makers[kind]().copy(changed, at);
    return { ...request, body: changed };
  };
  return { setupRequest };
}

const result = await autocannon({
  url: load.url,
  connections: load.connections,
  duration: load.seconds,
  timeout: 60,
  method: 'POST',
  headers: { 'content-type': 'application/json', ...load.headers },
  requests: load.bodies.map(requestOf),
});
console.log(
  JSON.stringify({
    requests: result['2xx'],
    seconds: result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    failed: result.errors + result.non2xx,
  }),
);
