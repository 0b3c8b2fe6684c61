/** Keeps the one engine of a worker busy for as long as a test likes. */
import type { Millrace } from './millrace.ts';

let held = 0;

export interface Held {
  /** The prediction that runs. */
  readonly id: string;
  /** Lets the work behind it go on; resolves when that one has ended. */
  release(): Promise<void>;
}

/**
 * Asks model `slow` for what takes a second, and resolves when it runs. Nothing else of that model starts before it is
 * released, or a second has passed: what runs cannot be stopped.
 */
export async function holdWorker({ predict, ask }: Millrace, turns = 800_000): Promise<Held> {
  held += 1;
  const { body } = await predict('slow', { input: { x: [turns + held] }, priority: 'high' });
  const events = await fetchEvents(ask, body.id);
  if (events !== 'running') throw new Error(`it was to run, and is ${events}`);
  return {
    id: body.id,
    release: async () => {
      for (;;) {
        const { status } = (await ask(`/v1/predictions/${body.id}?wait=60`)).body;
        if (status !== 'queued' && status !== 'running') return;
      }
    },
  };
}

async function fetchEvents(ask: Millrace['ask'], id: string): Promise<string> {
  for (;;) {
    const { body } = await ask(`/v1/predictions/${id}`);
    if (body.status !== 'queued') return body.status;
  }
}
