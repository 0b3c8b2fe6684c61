/**
 * The list of workers on the queue Redis. Each worker writes its own entry every few seconds, and removes the entry when it stops.
 * The clock of Redis decides the age of an entry. The API shows the list, and `/readyz` reports a model that no listed worker serves.
 * The list does not decide whether a worker is alive: the heartbeats do.
 */
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';

/** The version of the text of an entry. A reader leaves out an entry of another version. */
const FORMAT = 1;
/** The interval at which a worker writes its entry. */
export const REPORT_EVERY_MS = 5_000;
/** An entry of this age belongs to a worker that hangs or has died. */
export const STALE_MS = 3 * REPORT_EVERY_MS;
/** A worker whose entry has this age is no longer listed. */
const GONE_MS = 3_600_000;
/** The most bytes of an entry. A worker with a longer entry leaves out the engines, and then the models. */
const ENTRY_BYTES = 65_536;

export interface ReportedEngine {
  model: string | null;
  version: string | null;
  /** The execution provider of onnxruntime, such as `cpu`. */
  provider: string;
  status: 'starting' | 'idle' | 'busy' | 'stopped';
  memory_bytes: number | null;
}

export interface ReportedModel {
  name: string;
  version: string;
  /** The execution providers that run the version. Absent in the entry of a worker of an earlier release, which has only `cpu`. */
  providers?: readonly string[];
}

/** The entry of a worker, in the form in which the API shows it. Times are Unix ms. */
export interface WorkerReport {
  draining: boolean;
  roles: readonly string[];
  models: readonly ReportedModel[];
  engines: readonly ReportedEngine[];
  providers: readonly string[];
  /** Resident bytes of the worker and its engines. */
  memory_bytes: number;
  /** Predictions that the worker holds and has not started. */
  held: number;
  rows_per_s: number;
  release: string;
  host: string;
  started_at: number;
}

export interface ListedWorker extends WorkerReport {
  id: string;
  seenAt: number;
  ageMs: number;
}

// KEYS: the hash. ARGV: worker, entry, age in ms at which an entry is removed, 1 to look for such entries. Redis takes the small
// entry also while its memory is full.
const REPORT = `#!lua flags=allow-oom
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if ARGV[4] == '1' then
  local all = redis.call('HGETALL', KEYS[1])
  for n = 1, #all, 2 do
    local at = tonumber(string.match(all[n + 1], '^(%d+) ') or '0')
    if now - at > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[n]) end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
return 1`;

/** Writes the entry of a worker. With `clean` also removes the entries of workers that are gone. */
export async function reportWorker(
  redis: Connection,
  keys: Keys,
  { id, report, clean }: { id: string; report: WorkerReport; clean: boolean },
): Promise<void> {
  await redis.eval(REPORT, 1, keys.workers(), id, entryOf(report), GONE_MS, clean ? 1 : 0);
}

function entryOf(report: WorkerReport): string {
  const textOf = (shown: WorkerReport) => JSON.stringify({ v: FORMAT, ...shown });
  const whole = textOf(report);
  if (whole.length <= ENTRY_BYTES) return whole;
  const short = textOf({ ...report, engines: [] });
  return short.length <= ENTRY_BYTES ? short : textOf({ ...report, engines: [], models: [] });
}

export async function removeWorker(redis: Connection, keys: Keys, id: string): Promise<void> {
  await redis.hdel(keys.workers(), id);
}

// KEYS: the hash. Returns Unix ms and the ids.
const IDS = `
local t = redis.call('TIME')
return { string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)), redis.call('HKEYS', KEYS[1]) }`;

/** A page of workers by id, and one worker more if there is a next page. Unreadable entries are left out. */
export async function listWorkers(
  redis: Connection,
  keys: Keys,
  { after, limit }: { after: string | undefined; limit: number },
): Promise<ListedWorker[]> {
  const [now, ids] = (await redis.eval(IDS, 1, keys.workers())) as [string, string[]];
  const sorted = ids.filter((id) => after === undefined || id > after).sort();
  const listed: ListedWorker[] = [];
  for (let at = 0; at < sorted.length && listed.length <= limit; at += limit + 1) {
    const some = sorted.slice(at, at + limit + 1);
    const entries = await redis.hmget(keys.workers(), ...some);
    for (const [place, id] of some.entries()) {
      const worker = readEntry(id, entries[place] ?? '', Number(now));
      if (worker !== undefined && worker.ageMs <= GONE_MS) listed.push(worker);
      // An entry can have many models: each entry is parsed in its own turn of the event loop.
      if ((entries[place]?.length ?? 0) > 4_096) await new Promise(setImmediate);
    }
  }
  return listed.slice(0, limit + 1);
}

/** Reads the entry of one worker. */
export async function findWorker(redis: Connection, keys: Keys, id: string): Promise<ListedWorker | undefined> {
  const [[now], entry] = await Promise.all([
    redis.eval(IDS, 1, keys.workers()) as Promise<[string, string[]]>,
    redis.hget(keys.workers(), id),
  ]);
  const worker = readEntry(id, entry ?? '', Number(now));
  return worker !== undefined && worker.ageMs <= GONE_MS ? worker : undefined;
}

function readEntry(id: string, entry: string, nowMs: number): ListedWorker | undefined {
  const [, at, text = ''] = /^(\d{1,15}) (\{.*\})$/s.exec(entry) ?? [];
  try {
    const report = JSON.parse(text) as WorkerReport & { v: number };
    if (report.v !== FORMAT || !isReport(report)) return undefined;
    const seenAt = Number(at);
    return { ...report, id, seenAt, ageMs: Math.max(0, nowMs - seenAt) };
  } catch {
    return undefined;
  }
}

/** Whether the members have the types that the API shows. Another process wrote the entry. */
function isReport(report: WorkerReport): boolean {
  const numbers = [report.memory_bytes, report.held, report.rows_per_s, report.started_at];
  const lists = [report.roles, report.models, report.engines, report.providers];
  const texts = [report.release, report.host];
  return (
    typeof report.draining === 'boolean' &&
    numbers.every((number) => Number.isFinite(number)) &&
    lists.every((list) => Array.isArray(list)) &&
    texts.every((text) => typeof text === 'string')
  );
}
