// `node autocannon-child.mjs LOAD.json` drives a load with autocannon and prints the figures as JSON. The file is
// JavaScript because autocannon has no types.
import { readFile } from 'node:fs/promises';
import autocannon from 'autocannon';

const load = JSON.parse(await readFile(process.argv[2], 'utf8'));
const result = await autocannon({
  url: load.url,
  connections: load.connections,
  duration: load.seconds,
  timeout: 60,
  method: 'POST',
  headers: { 'content-type': 'application/json', ...load.headers },
  requests: load.bodies.map((body) => ({ body })),
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
