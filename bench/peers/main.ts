/** `npm run bench:peers`: measures Millrace beside other model servers in turn, and writes bench/peers/results.json. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startGuard } from '@millrace/local/process/guard';
import type { Bench } from '../bench.ts';
import { findDriver } from '../load/load.ts';
import type { Requests } from '../requests.ts';
import { machine, quotients, type Results, type ScenarioResult } from '../results.ts';
import { type NamedLoad, runLoads } from '../rounds.ts';
import { openStage, type Rival, type Stage } from '../stage.ts';
import { table } from '../table.ts';
import type { Format } from '../tensors/formats.ts';
import { HIDDEN, WIDTH, writeMlps } from '../tensors/models.ts';
import { randomRows, type TensorRequestsParams, tensorRequests } from '../tensors/requests.ts';
import { install } from './environments.ts';
import { type PeerName, peerPlans, startPeer, untilCorrect } from './peers.ts';

const usage = `npm run bench:peers -- [options]
  --peers mosec,celery     only these peers (${Object.keys(peerPlans).join(', ')})
  --models mlp-20          only these models (${Object.keys(HIDDEN).join(', ')})
  --connections 256        clients at once; one client alone is measured too
  --seconds 8              how long each load lasts
  --rounds 3               rounds per server; medians are reported
  --out FILE               file for the figures (bench/peers/results.json)`;

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: {
    peers: text,
    models: text,
    connections: text,
    seconds: text,
    rounds: text,
    out: text,
    help: { type: 'boolean' },
  },
});

const MILLRACE_FORMATS: readonly Format[] = ['json', 'base64', 'v2-json', 'v2-binary'];

type Sender = Pick<Bench, 'seconds' | 'rounds' | 'driver' | 'stage' | 'say'>;

interface Server {
  rival: Rival;
  /** The format of the requests, for the label. */
  doors: { format: Format; requests: Requests }[];
}

function chosen<T extends string>(given: string | undefined, all: readonly T[]): T[] {
  const names = given?.split(',') ?? all;
  const unknown = names.find((name) => !all.some((known) => known === name));
  if (unknown !== undefined) throw new Error(`There is no '${unknown}'; there are ${all.join(', ')}.\n\n${usage}`);
  return all.filter((name) => names.includes(name));
}

function whole(name: string, value: string | undefined, standard: number): number {
  const number = Number(value ?? standard);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number, 1 or more.`);
  return number;
}

async function startServers(bench: Sender, model: string, peers: readonly PeerName[]): Promise<Server[]> {
  const { stage, say } = bench;
  const modelsDir = path.join(stage.dir, 'models');
  const rows = randomRows(1_024, WIDTH);
  const params: TensorRequestsParams = { modelsDir, model, dims: [WIDTH], rows, headers: {}, fresh: true };
  const millrace = await stage.start('millrace', { modelsDir });
  const waits = { ...params, headers: { prefer: 'wait=30' } };
  const servers: Server[] = [
    {
      rival: millrace,
      doors: MILLRACE_FORMATS.map((format) => ({ format, requests: tensorRequests(format, waits) })),
    },
  ];
  for (const name of peers) {
    say(`${name} starts`);
    const rival = await startPeer({ name, model, modelsDir, dir: stage.dir, guard, say });
    started.push(rival);
    const doors = Object.entries(peerPlans[name].formats).map(([format, pathOf]) => {
      const requests = tensorRequests(format as Format, { ...params, path: pathOf(model) });
      return { format: format as Format, requests };
    });
    servers.push({ rival, doors });
  }
  for (const { rival, doors } of servers) for (const { requests } of doors) await untilCorrect(rival, requests);
  return servers;
}

async function compare(bench: Sender, model: string, peers: readonly PeerName[]): Promise<ScenarioResult> {
  const servers = await startServers(bench, model, peers);
  const connections = whole('connections', values.connections, 256);
  const loads = servers.flatMap(({ rival, doors }) =>
    doors.map(({ format, requests }): NamedLoad => {
      return { label: `${rival.name} ${format}`, rival, requests, connections, sample: 'beside' };
    }),
  );
  const alone = servers.flatMap(({ rival, doors: [first] }): NamedLoad[] =>
    first ? [{ label: `${rival.name} alone`, rival, requests: first.requests, connections: 1, sample: 'after' }] : [],
  );
  const figures = await runLoads(bench, [...loads, ...alone]);
  // In its own format each peer is compared with the same kind of format of Millrace: text with text, bytes with bytes.
  const pairs = servers.slice(1).flatMap(({ rival, doors }) =>
    doors.map(({ format }) => {
      const own = format === 'raw' ? 'v2-binary' : format === 'v2-json' ? 'v2-json' : 'json';
      return [`millrace ${own}`, `${rival.name} ${format}`] as const;
    }),
  );
  return { name: model, rivals: figures, ratios: quotients(figures, 'rps', pairs), goals: [] };
}

const guard = startGuard();
const started: Rival[] = [];

async function closeAll(stage: Stage): Promise<void> {
  await Promise.allSettled(started.splice(0).map((rival) => rival.stop()));
  await stage.close();
}

async function main(): Promise<void> {
  const peers = chosen(values.peers, Object.keys(peerPlans) as PeerName[]);
  const models = chosen(values.models, Object.keys(HIDDEN));
  const [seconds, rounds] = [whole('seconds', values.seconds, 8), whole('rounds', values.rounds, 3)];
  const out = values.out ?? path.join(import.meta.dirname, 'results.json');
  const say = (message: string) => console.log(message);
  for (const name of peers) await install(peerPlans[name].environment, say);
  const driver = findDriver();
  const measured_at = new Date().toISOString();
  const results: Results = { machine: machine(), measured_at, seconds, rounds, driver, scenarios: [] };
  for (const model of models) {
    const stage = await openStage(say);
    const stopped = () => void closeAll(stage).finally(() => process.exit(130));
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeAllListeners(signal).once(signal, stopped);
    try {
      await writeMlps(path.join(stage.dir, 'models'));
      const result = await compare({ stage, driver, seconds, rounds, say }, model, peers);
      results.scenarios.push(result);
      console.log(table({ name: model, about: '166 float32, all inputs different' }, result));
    } finally {
      await closeAll(stage);
    }
    await writeFile(out, `${JSON.stringify(results, null, 2)}\n`);
  }
}

try {
  if (values.help) console.log(usage);
  else await main();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await guard.close();
}
