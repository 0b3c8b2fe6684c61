/** After the healing: compares every result and every promise with the expected results. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Entry } from './client.ts';
import type { Stage } from './stage.ts';

export interface Verdict {
  accepted: number;
  lost: number;
  wrong: number;
  terminal_twice: number;
  duplicate_executions: number;
  problems: string[];
}

const PATIENCE_MS = 90_000;
const AT_ONCE = 32;

/** Waits until all promised predictions have ended. Resolves to the number of open predictions. */
export async function untilEnded(stage: Stage, patienceMs = PATIENCE_MS): Promise<number> {
  const deadline = performance.now() + patienceMs;
  let open = stage.client.entries.filter(({ promised, seen }) => promised && seen === undefined);
  while (open.length > 0 && performance.now() < deadline) {
    for (let at = 0; at < open.length; at += AT_ONCE) {
      await Promise.all(
        open.slice(at, at + AT_ONCE).map(async (entry) => {
          const end = await stage.client.fetch(entry.id as string, 2);
          if (typeof end === 'object') entry.seen = end;
        }),
      );
    }
    open = open.filter(({ seen }) => seen === undefined);
    if (open.length > 0) await delay(20);
  }
  return open.length;
}

export async function verify(stage: Stage): Promise<Verdict> {
  const { entries } = stage.client;
  const problems: string[] = [];
  const lost = new Set<Entry>();
  await untilEnded(stage);
  for (const entry of entries) if (entry.seen === undefined) lost.add(entry);
  const promised = entries.filter((entry) => entry.promised);
  const unrecorded = await untilRecorded(
    stage,
    promised.map(({ id }) => id as string),
  );
  for (const entry of promised) if (unrecorded.has(entry.id as string)) lost.add(entry);
  for (const entry of lost) problems.push(`lost: ${entry.id} (${entry.mode}, ${entry.request.model})`);

  let wrong = 0;
  for (const { request, seen, id } of entries) {
    if (seen === undefined || isRight(request, seen)) continue;
    wrong += 1;
    problems.push(`wrong: ${id} ${seen.status} ${seen.output} ${seen.detail}, and ${request.expected} was expected`);
  }
  const twice = await stage.sql<{ id: string; ends: string[] }>(
    'SELECT id, array_agg(status) AS ends FROM chaos_ends GROUP BY id, opening HAVING count(*) > 1',
  );
  const changed = await changedSince(stage, promised);
  for (const { id, ends } of twice) problems.push(`terminal twice: ${id} ${ends}`);
  for (const id of changed) problems.push(`changed after its end: ${id}`);
  const [executions] = await stage.sql<{ more: number }>(
    'SELECT coalesce(sum(attempts - 1), 0)::int AS more FROM predictions WHERE attempts > 1',
  );
  return {
    accepted: entries.length,
    lost: lost.size,
    wrong,
    terminal_twice: twice.length + changed.length,
    duplicate_executions: executions?.more ?? 0,
    problems,
  };
}

function isRight({ expected, mayFail }: Entry['request'], { status, output }: NonNullable<Entry['seen']>): boolean {
  if (mayFail && status === 'failed') return true;
  return expected === undefined ? status === 'failed' : status === 'succeeded' && output === expected;
}

/** The ids whose ledger row has not become terminal. */
async function untilRecorded(stage: Stage, ids: string[]): Promise<Set<string>> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const rows = await stage.sql<{ id: string }>(
      `SELECT id::text FROM unnest($1::uuid[]) AS input (id) WHERE NOT EXISTS
         (SELECT FROM predictions p WHERE p.id = input.id AND p.status NOT IN ('queued', 'running'))`,
      [ids],
    );
    if (rows.length === 0 || performance.now() > deadline) return new Set(rows.map(({ id }) => id));
    await delay(100);
  }
}

/** Promises whose ledger row differs from the caller's result. */
async function changedSince(stage: Stage, promised: readonly Entry[]): Promise<string[]> {
  const rows = await stage.sql<{ id: string; status: string }>(
    'SELECT id::text, status FROM predictions WHERE id = ANY ($1::uuid[])',
    [promised.map(({ id }) => id)],
  );
  const status = new Map(rows.map((row) => [row.id, row.status]));
  return promised.flatMap(({ id, seen }) => (seen && status.get(id as string) !== seen.status ? [id as string] : []));
}
