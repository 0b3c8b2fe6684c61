/** `npm run bench`: runs every rival under every load, prints a table and writes bench/results.json. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Bench, Scenario } from './bench.ts';
import { openInputs } from './inputs.ts';
import { findDriver } from './load/load.ts';
import { type Options, readOptions, UsageError, usage } from './options.ts';
import { judged, machine, type Results } from './results.ts';
import { scenarios } from './scenarios.ts';
import { openStage, type Stage } from './stage.ts';
import { table } from './table.ts';

const live = process.stdout.isTTY;

function progress(message: string): void {
  if (live) process.stdout.write(`\r\x1b[K${message}`);
  else console.log(message);
}

async function run(options: Options): Promise<Results> {
  const driver = findDriver();
  const inputs = await openInputs();
  const { seconds, rounds, waiting } = options;
  const results: Results = {
    machine: machine(),
    measured_at: new Date().toISOString(),
    seconds,
    rounds,
    driver,
    scenarios: [],
  };
  const chosen = scenarios.filter(
    ({ name, requires = [] }) =>
      (options.only === undefined || options.only.includes(name)) &&
      requires.every((rival) => options.rivals.includes(rival)),
  );
  for (const [index, scenario] of chosen.entries()) {
    const say = (message: string) => progress(`[${index + 1}/${chosen.length}] ${scenario.name}: ${message}`);
    const stage = await openStage(say, options);
    stopOnSignals(stage);
    try {
      const rivals: Bench['rivals'] = (names) => names.filter((name) => options.rivals.includes(name));
      const found = await scenario.run({ stage, driver, inputs, seconds, rounds, waiting, rivals, say });
      const result = { ...found, goals: judged(found.goals) };
      results.scenarios.push(result);
      if (live) process.stdout.write('\r\x1b[K');
      console.log(table(scenario, result));
    } catch (error) {
      // The other scenarios can still give results, so the run goes on. The exit code reports the failure.
      console.error(`The scenario ${scenario.name} failed:`, error);
      process.exitCode = 1;
    } finally {
      await stage.close();
    }
    // The file is written after each scenario, so that an interrupted run keeps its results.
    await writeFile(options.out, `${JSON.stringify(results, null, 2)}\n`);
  }
  return results;
}

function stopOnSignals(stage: Stage): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.removeAllListeners(signal);
    process.once(signal, () => void stage.close().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143)));
  }
}

try {
  const names = scenarios.map((scenario: Scenario) => scenario.name);
  const options = readOptions(process.argv.slice(2), names, path.join(import.meta.dirname, 'results.json'));
  const results = await run(options);
  const goals = results.scenarios.flatMap((scenario) => scenario.goals);
  console.log(`${goals.filter(({ met }) => met).length} of ${goals.length} goals met; figures in ${options.out}`);
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n\n${usage}`);
  else console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
