/** Keeps the only engine of a worker busy for as long as a test needs. */
import type { Millrace } from './millrace.ts';

let held = 0;

export interface Held {
  /** The running prediction. */
  readonly id: string;
  /** Lets the waiting work continue. Resolves when the running prediction has ended. */
  release(): Promise<void>;
}

/**
 * Submits a prediction of a second to the model `slow` and resolves when the prediction runs. No other prediction of
 * the model starts before `release` or before a second has passed, because a run cannot be stopped.
 */
export async function holdWorker({ predict, request }: Millrace, turns = 800_000): Promise<Held> {
  held += 1;
  const { body } = await predict('slow', { input: { x: [turns + held] }, priority: 'high' });
  const events = await fetchEvents(request, body.id);
  if (events !== 'running') throw new Error(`the prediction is ${events} instead of running`);
  return {
    id: body.id,
    release: async () => {
      for (;;) {
        const { status } = (await request(`/v1/predictions/${body.id}?wait=60`)).body;
        if (status !== 'queued' && status !== 'running') return;
      }
    },
  };
}

async function fetchEvents(request: Millrace['request'], id: string): Promise<string> {
  for (;;) {
    const { body } = await request(`/v1/predictions/${id}`);
    if (body.status !== 'queued') return body.status;
  }
}
