/** Submits predictions, records the promises, and reads every promised result at the end. */

const MODEL = 'drug-interaction';

export interface Tally {
  submitted: number;
  accepted: number;
  /**
   * Requests that were not accepted, by status, code and detail or by the connection error, with the steps of the test.
   */
  refused: Record<string, { times: number; during: string[] }>;
  lost: string[];
  wrong: string[];
}

interface Pair {
  drug_a: string;
  drug_b: string;
}

/** Distinct pairs of the bundled drugs, from the API's own list. */
export async function pairsOf(base: string): Promise<Pair[]> {
  const { data: entities } = (await (
    await fetch(`${base}/v1/models/drug-interaction/entities/drug?limit=100`)
  ).json()) as {
    data: { name: string }[];
  };
  const names = entities.map(({ name }) => name);
  return names.flatMap((drug_a, at) => names.slice(at + 1).map((drug_b) => ({ drug_a, drug_b })));
}

export class LedgerClient {
  readonly #base: string;
  readonly #promised = new Map<string, Pair>();
  /** The current step of the test. */
  step = '';
  readonly tally: Tally = { submitted: 0, accepted: 0, refused: {}, lost: [], wrong: [] };

  constructor(base: string) {
    this.#base = base;
  }

  /** The number of requests that were not accepted so far. */
  refusedCount(): number {
    return Object.values(this.tally.refused).reduce((sum, { times }) => sum + times, 0);
  }

  /** Submits pairs with `clients` clients while `going` returns true. Broken connections count as refused. */
  async submitWhile(pairs: readonly Pair[], clients: number, going: () => boolean): Promise<void> {
    let next = 0;
    const one = async () => {
      while (going()) {
        const pair = pairs[next++ % pairs.length] as Pair;
        this.tally.submitted += 1;
        try {
          const reply = await fetch(`${this.#base}/v1/models/${MODEL}/predictions`, {
            method: 'POST',
            headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
            body: JSON.stringify({ input: pair }),
            signal: AbortSignal.timeout(10_000),
          });
          const { id, code, detail } = (await reply.json()) as { id?: string; code?: string; detail?: string };
          if ((reply.status === 202 || reply.status === 200) && id) {
            this.tally.accepted += 1;
            this.#promised.set(id, pair);
          } else this.#refused(`${reply.status} ${code}: ${detail}`);
        } catch (error) {
          const { name, cause } = error as Error & { cause?: { code?: string } };
          this.#refused(cause?.code ?? name);
        }
      }
    };
    await Promise.all(Array.from({ length: clients }, one));
  }

  #refused(why: string): void {
    const seen = this.tally.refused[why] ?? { times: 0, during: [] };
    seen.times += 1;
    if (!seen.during.includes(this.step)) seen.during.push(this.step);
    this.tally.refused[why] = seen;
  }

  /** Waits for each promise and checks that its output belongs to the submitted pair. */
  async settle(): Promise<void> {
    const entries = [...this.#promised];
    const one = async () => {
      for (let entry = entries.pop(); entry; entry = entries.pop()) {
        const [id, pair] = entry;
        const reply = await fetch(`${this.#base}/v1/predictions/${id}?wait=60`);
        const prediction = (await reply.json()) as { status?: string; output?: Pair };
        if (prediction.status !== 'succeeded') this.tally.lost.push(`${id} ${reply.status} ${prediction.status}`);
        else {
          const got = [prediction.output?.drug_a, prediction.output?.drug_b].sort().join();
          if (got !== [pair.drug_a, pair.drug_b].sort().join()) this.tally.wrong.push(id);
        }
      }
    };
    await Promise.all(Array.from({ length: 16 }, one));
  }
}
