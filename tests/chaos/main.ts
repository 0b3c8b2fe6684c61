/**
 * `npm run test:chaos [-- --quick --only name,name --part N/M --seed N --within SECONDS --no-report]` runs every fault in turn on
 * real servers and processes, and checks the ledger after each fault. Exits with 1 when a prediction is lost, wrong or
 * ended twice, or another check fails. A missed goal also causes exit code 1, except in the short form, which runs
 * beside other work of a machine. `--within` starts no further fault after that time. `--no-report` does not change
 * results.json and the table.
 */
import path from 'node:path';
import { type Context, type Fault, recovery } from './fault.ts';
import { apiFaults } from './faults/api.ts';
import { clockFaults } from './faults/clocks.ts';
import { crowdFaults } from './faults/crowd.ts';
import { damageFaults } from './faults/damage.ts';
import { demotionFaults } from './faults/demotion.ts';
import { failoverFaults } from './faults/failover.ts';
import { fileFaults } from './faults/files.ts';
import { fullDiskFaults } from './faults/full-disk.ts';
import { fullStoreFaults } from './faults/full-store.ts';
import { inputFaults } from './faults/inputs.ts';
import { keyFaults } from './faults/keys.ts';
import { machineFaults } from './faults/machine.ts';
import { outputFaults } from './faults/outputs.ts';
import { postgresFaults } from './faults/postgres.ts';
import { priorityFaults } from './faults/priorities.ts';
import { promiseFaults } from './faults/promises.ts';
import { redisFaults } from './faults/redis.ts';
import { retryFaults } from './faults/retries.ts';
import { rollbackFaults } from './faults/rollback.ts';
import { sentinelFaults } from './faults/sentinel.ts';
import { standstillFaults } from './faults/standstill.ts';
import { upgradeFaults } from './faults/upgrade.ts';
import { webhookFaults } from './faults/webhooks.ts';
import { workerFaults } from './faults/worker.ts';
import { writeModels } from './models.ts';
import { optionsOf } from './options.ts';
import { partOf } from './part.ts';
import { seeded, shuffle } from './random.ts';
import { type Result, writeReport } from './report.ts';
import { type Servers, startServers } from './servers.ts';
import { openStage } from './stage.ts';
import { verify } from './verify.ts';

const GOAL_RECOVERY_S = 5;
const faults: readonly Fault[] = [
  ...workerFaults,
  ...fileFaults,
  ...apiFaults,
  ...redisFaults,
  ...failoverFaults,
  ...demotionFaults,
  ...fullStoreFaults,
  ...fullDiskFaults,
  ...damageFaults,
  ...sentinelFaults,
  ...rollbackFaults,
  ...postgresFaults,
  ...standstillFaults,
  ...clockFaults,
  ...machineFaults,
  ...retryFaults,
  ...crowdFaults,
  ...keyFaults,
  ...priorityFaults,
  ...outputFaults,
  ...inputFaults,
  ...promiseFaults,
  ...webhookFaults,
  ...upgradeFaults,
];
const options = optionsOf(process.argv.slice(2));
const names = faults.map(({ name }) => name);
const unknown = options.only.filter((name) => !names.includes(name));
if (unknown.length > 0) throw new Error(`There is no fault ${unknown.join(', ')}; there are ${names.join(', ')}.`);

// The parts divide the faults of the form, so that each part takes about the same time.
const table = faults.filter(({ name, long }) =>
  options.only.length > 0 ? options.only.includes(name) : !(options.short && long),
);
const chosen = partOf(table, options.part);
// When time may run out, a random order varies the skipped faults.
if (Number.isFinite(options.within)) shuffle(chosen, seeded(options.seed));
console.log(`Seed ${options.seed}. ${chosen.length} faults.`);
const servers = await startServers(console.log);
const results: Result[] = [];
// Faults whose own machinery failed. They do not judge Millrace, but they are not clean either.
const broken: string[] = [];
const skipped: string[] = [];
try {
  await writeModels(path.join(servers.dir, 'models'));
  for (const fault of chosen) {
    if (process.uptime() > options.within) {
      skipped.push(fault.name);
      continue;
    }
    const startedAt = performance.now();
    const result = await play(fault, servers).catch((error: Error) => {
      console.log(`BAD ${error.message}`);
      broken.push(fault.name);
    });
    if (!result) continue;
    results.push(result);
    show(result, (performance.now() - startedAt) / 1_000);
    if (options.report) writeReport(results, names);
  }
} finally {
  await servers.close();
}
const bad = [...results.filter((result) => !isClean(result)).map(({ name }) => name), ...broken];
if (skipped.length > 0) console.log(`Not run for lack of time: ${skipped.join(', ')}.`);
console.log(bad.length === 0 ? 'All clean.' : `Not clean: ${bad.join(', ')}.`);
process.exit(bad.length === 0 ? 0 : 1);

async function play(fault: Fault, on: Servers): Promise<Result> {
  const stage = await openStage(on, typeof fault.stage === 'function' ? await fault.stage() : fault.stage);
  const problems: string[] = [];
  const missed: string[] = [];
  const notes: string[] = [];
  const context: Context = {
    stage,
    servers: on,
    random: seeded(options.seed),
    short: options.short,
    note: (text) => notes.push(text),
    expect: (holds, otherwise) => void (holds || problems.push(otherwise)),
    goal: (met, otherwise) => void (met || missed.push(otherwise)),
  };
  try {
    const healedAt = await fault.run(context);
    const recovered = healedAt === undefined ? null : await recovery(stage, healedAt);
    const recoveryS = recovered?.resultsS ?? null;
    if (recoveryS === Number.POSITIVE_INFINITY) problems.push('no request succeeded for a minute after the healing');
    else if (recoveryS !== null && recoveryS > GOAL_RECOVERY_S) missed.push(`recovered after ${recoveryS} s`);
    if (recovered) notes.push(`all promises kept after ${recovered.endedS.toFixed(1)} s`);
    const { problems: more, ...verdict } = await verify(stage);
    problems.push(...more);
    const details = {
      how: fault.how,
      notes: notes.join('; '),
      problems: problems.slice(0, 20),
      missed,
      short: options.short,
    };
    const on = new Date().toISOString().slice(0, 10);
    return { name: fault.name, seed: options.seed, ...verdict, recovery_s: recoveryS, ...details, on };
  } catch (error) {
    throw new Error(`${fault.name} could not run: ${(error as Error).message}`, { cause: error });
  } finally {
    await stage.close();
  }
}

function isClean({ problems, missed }: Result): boolean {
  return problems.length === 0 && (options.short || missed.length === 0);
}

function show(result: Result, tookS: number) {
  const { name, accepted, lost, wrong, terminal_twice, duplicate_executions, recovery_s, notes } = result;
  const figures = { accepted, lost, wrong, terminal_twice, duplicate_executions, recovery_s };
  const text = Object.entries(figures).map(([key, value]) => `${key} ${value}`);
  const verdict = isClean(result) ? 'ok ' : 'BAD';
  console.log(`${verdict} ${name} (${tookS.toFixed(0)} s): ${text.join(', ')}. ${notes}`);
  for (const problem of result.problems) console.log(`      ${problem}`);
  for (const goal of result.missed) console.log(`      goal missed: ${goal}`);
}
