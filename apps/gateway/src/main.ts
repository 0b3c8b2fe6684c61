import { startBalancer } from './balancer.ts';

const { GATEWAY_TARGET = 'api:8080', GATEWAY_HOST = '0.0.0.0', GATEWAY_PORT = '8080' } = process.env;
const [host, port] = GATEWAY_TARGET.split(':');
if (!host || !Number.isInteger(Number(port)) || !Number.isInteger(Number(GATEWAY_PORT))) {
  process.stderr.write('GATEWAY_TARGET must be name:port and GATEWAY_PORT a port.\n');
  process.exit(1);
}

const balancer = await startBalancer({
  host: GATEWAY_HOST,
  port: Number(GATEWAY_PORT),
  target: { host, port: Number(port) },
  refreshMs: 1_000,
  connectTimeoutMs: 1_000,
  log: (fields, msg) =>
    process.stdout.write(`${JSON.stringify({ time: Date.now(), process: 'gateway', ...fields, msg })}\n`),
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => void balancer.close(10_000).then(() => process.exit(0)));
}
