/** The part of the primary process that gathers the metrics of the API processes. */
import type { Worker } from 'node:cluster';
import { mergeMetrics } from './merge-metrics.ts';
import { isMetricsMessage, type ToProcess } from './metrics-messages.ts';

/** A process without a reply in this time, for example a stopped process, is absent from the metrics. */
const REPLY_MS = 1_000;

interface Gathering {
  texts: Map<number, string>;
  missing: Set<number>;
  done(): void;
}

export class MetricsRelay {
  readonly #processes: ReadonlyMap<number, Worker>;
  readonly #gatherings = new Map<number, Gathering>();
  #requests = 0;

  /** `processes` are the running processes by their number. */
  constructor(processes: ReadonlyMap<number, Worker>) {
    this.#processes = processes;
  }

  /** Handles the messages of a process. */
  listen(process: Worker, number: number): void {
    process.on('message', (message: unknown) => {
      if (!isMetricsMessage(message)) return;
      if (message.kind === 'own-metrics-text') this.#received(number, message);
      if (message.kind === 'all-metrics') {
        const { request } = message;
        void this.#gather().then((text) => sendTo(process, { kind: 'all-metrics-text', request, text }));
      }
    });
  }

  #received(number: number, { request, text }: { request: number; text: string }): void {
    const gathering = this.#gatherings.get(request);
    if (!gathering) return;
    gathering.texts.set(number, text);
    gathering.missing.delete(number);
    if (gathering.missing.size === 0) gathering.done();
  }

  async #gather(): Promise<string> {
    this.#requests += 1;
    const request = this.#requests;
    const { promise, resolve } = Promise.withResolvers<void>();
    const texts = new Map<number, string>();
    this.#gatherings.set(request, { texts, missing: new Set(this.#processes.keys()), done: resolve });
    const timer = setTimeout(resolve, REPLY_MS);
    for (const process of this.#processes.values()) sendTo(process, { kind: 'own-metrics', request });
    await promise;
    clearTimeout(timer);
    this.#gatherings.delete(request);
    return mergeMetrics(new Map([...texts].sort(([a], [b]) => a - b)));
  }
}

/** A process that ends at this moment receives no message. */
function sendTo(process: Worker, message: ToProcess): void {
  if (process.isConnected()) process.send(message, () => {});
}
