/** The metrics of all API processes of this machine, as one process of them reads them. */
import cluster from 'node:cluster';
import { isMetricsMessage, type ToPrimary } from './metrics-messages.ts';

const TIMEOUT_MS = 2_000;

/**
 * Returns a function that resolves to the metrics of all processes that share the port. Without other processes, and when the primary
 * does not reply in time: the metrics of this process. `own` returns the metrics of this process in Prometheus' text format.
 */
export function metricsOfAll(own: () => Promise<string>): () => Promise<string> {
  if (cluster.isPrimary) return own;
  const waiting = new Map<number, (text: string) => void>();
  let requests = 0;
  const send = (message: ToPrimary): void => void process.send?.(message);
  process.on('message', (message: unknown) => {
    if (!isMetricsMessage(message)) return;
    const { kind, request } = message;
    if (kind === 'own-metrics') void own().then((text) => send({ kind: 'own-metrics-text', request, text }));
    if (kind === 'all-metrics-text') waiting.get(request)?.(message.text);
  });
  return async () => {
    requests += 1;
    const request = requests;
    const { promise, resolve } = Promise.withResolvers<string>();
    waiting.set(request, resolve);
    const timer = setTimeout(() => void own().then(resolve), TIMEOUT_MS);
    try {
      send({ kind: 'all-metrics', request });
      return await promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(request);
    }
  };
}
