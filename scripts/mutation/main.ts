/**
 * `npm run test:mutation [-- PART... | --named]`: changes the modules of modules.ts in small ways, one change at a time, and runs the tests of the
 * module after each change. Reports the changes that no test notices (survivors). An argument selects modules by a part of their path.
 * Exits with 1 when the tests notice less than 85 % of the changes of a module, or when a survivor has no reason in survivors/. A survivor
 * that survivors/ lists as equivalent does not count as a change: the changed program does the same. Every other survivor counts.
 * `--named` makes the changes of named.ts instead, and exits with 1 when one of them is not noticed.
 */
import path from 'node:path';
import { type Copy, makeCopy } from './copy.ts';
import { mutantsOfLua } from './lua-mutants.ts';
import { type MutatedModule, modulesOf } from './modules.ts';
import { applyMutant, lineOf, type Mutant, textOf } from './mutant.ts';
import { NAMED, type NamedMutant } from './named.ts';
import { type Outcome, TestRunner } from './run-tests.ts';
import type { Survivor } from './survivors/survivor.ts';
import { SURVIVORS } from './survivors.ts';
import { mutantsOfTypeScript } from './typescript-mutants.ts';

const MIN_PERCENT = 85;
/** The first run of the tests also starts the servers. */
const FIRST_RUN_MS = 300_000;
/** A run with a change is late after this many times the usual time, and after the time that a busy machine may add. */
const LATE_FACTOR = 3;
const LATE_EXTRA_MS = 10_000;
/** A single test hangs after the same factor, and after this time at the earliest. A process whose test hangs need not start again. */
const HANGS_MS = 4_000;
/** A change that seems late is tried this often. */
const LATE_TRIES = 3;

const repository = path.resolve(import.meta.dirname, '../..');

interface Report {
  tried: number;
  survivors: { text: string; listed: Survivor | undefined }[];
}

const mutantsOf = (source: string, file: string): Mutant[] =>
  file.endsWith('.lua') ? mutantsOfLua(source) : mutantsOfTypeScript(source, file);

async function mutate(copy: Copy, { file, tests }: MutatedModule): Promise<Report> {
  const source = copy.read(file);
  const runner = new TestRunner(copy.dir, file, tests);
  try {
    const mutants = mutantsOf(source, file);
    const survivors: Report['survivors'] = [];
    let limits = await limitsOf(runner, { file, tests });
    for (const mutant of mutants) {
      let outcome: Outcome = 'late';
      for (let tries = 0; outcome === 'late' && tries < LATE_TRIES; tries += 1) {
        copy.write(file, applyMutant(source, mutant));
        outcome = await runner.run(limits.lateMs, limits.hangsMs);
        if (outcome !== 'late') break;
        const { hangsMs } = limits;
        copy.write(file, source);
        limits = await limitsOf(runner, { file, tests });
        // Otherwise the machine became busier, and the program without the change is late too.
        if (2 * limits.usualMs <= hangsMs) break;
      }
      if (outcome === 'passed') survivors.push(survivorOf(source, file, mutant));
    }
    return { tried: mutants.length, survivors };
  } finally {
    copy.write(file, source);
    await runner.close();
  }
}

interface Limits {
  /** The time of a run without a change. */
  usualMs: number;
  lateMs: number;
  hangsMs: number;
}

/** Measures the program without a change. The first run can also start the servers. */
async function limitsOf(runner: TestRunner, { file, tests }: MutatedModule): Promise<Limits> {
  if ((await runner.run(FIRST_RUN_MS)) !== 'passed') throw failsUnchanged(file, tests);
  const startedAt = performance.now();
  if ((await runner.run(FIRST_RUN_MS)) !== 'passed') throw failsUnchanged(file, tests);
  const usualMs = performance.now() - startedAt;
  return {
    usualMs,
    lateMs: LATE_FACTOR * usualMs + LATE_EXTRA_MS,
    hangsMs: Math.max(HANGS_MS, LATE_FACTOR * usualMs),
  };
}

/** Makes the changes of named.ts, and returns how many of them no test notices. The tests themselves must fail: no run is late. */
async function mutateNamed(copy: Copy): Promise<number> {
  let survived = 0;
  for (const mutants of Map.groupBy(NAMED, ({ file, tests }) => [file, ...tests].join(' ')).values()) {
    const [{ file, tests }] = mutants as [NamedMutant];
    const source = copy.read(file);
    const runner = new TestRunner(copy.dir, file, tests);
    try {
      if ((await runner.run(FIRST_RUN_MS)) !== 'passed') throw failsUnchanged(file, tests);
      for (const { name, before, after } of mutants) {
        copy.write(
          file,
          source.replace(before, () => after),
        );
        const isNoticed = (await runner.run(FIRST_RUN_MS)) === 'failed';
        console.log(`${isNoticed ? 'noticed ' : 'SURVIVES'}  ${name}    by ${tests.join(' ')}`);
        if (!isNoticed) survived += 1;
      }
    } finally {
      copy.write(file, source);
      await runner.close();
    }
  }
  console.log(`${NAMED.length - survived} of ${NAMED.length} named changes noticed.`);
  return survived;
}

const failsUnchanged = (file: string, tests: readonly string[]): Error =>
  new Error(`The tests of ${file} fail without a change: run npm test -- ${tests.join(' ')}.`);

function survivorOf(source: string, file: string, mutant: Mutant): Report['survivors'][number] {
  const number = lineOf(source, mutant.start);
  const line = source.split('\n')[number - 1]?.trim() ?? '';
  const change = textOf(source, mutant);
  const listed = SURVIVORS[file]?.find(
    (each) => line.startsWith(each.line) && (each.change === undefined || each.change === change),
  );
  return { text: `${number}: ${change}    in: ${line}`, listed };
}

const percent = (part: number, all: number): string => `${((100 * part) / Math.max(1, all)).toFixed(1)} %`;

/** The changes that count, and those of them that a test noticed. */
function scoreOf({ tried, survivors }: Report): { counted: number; seen: number } {
  const equivalent = survivors.filter(({ listed }) => listed?.isEquivalent).length;
  return { counted: tried - equivalent, seen: tried - survivors.length };
}

const kindOf = (listed: Survivor | undefined): string =>
  listed === undefined ? 'NEW       ' : listed.isEquivalent ? 'equivalent' : 'known     ';

async function main(): Promise<number> {
  const parts = process.argv.slice(2);
  const isNamed = parts.includes('--named');
  const modules = isNamed ? [] : modulesOf(repository, parts);
  if (!isNamed && modules.length === 0) {
    console.error('No module has such a path: scripts/mutation/modules.ts has the modules.');
    return 2;
  }
  const copy = makeCopy(repository);
  process.on('exit', () => copy.remove());
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  if (isNamed) return (await mutateNamed(copy)) > 0 ? 1 : 0;
  let [tried, noticed, unlisted, weak] = [0, 0, 0, 0];
  for (const module of modules) {
    const report = await mutate(copy, module);
    const { counted, seen } = scoreOf(report);
    tried += counted;
    noticed += seen;
    if (seen < (MIN_PERCENT / 100) * counted) weak += 1;
    const equivalent = report.tried - counted;
    const besides = equivalent === 0 ? '' : `, besides ${equivalent} equivalent`;
    console.log(
      `${percent(seen, counted).padStart(7)} of ${String(counted).padStart(4)} changes noticed  ${module.file}${besides}`,
    );
    for (const { text, listed } of report.survivors) {
      console.log(`        ${kindOf(listed)} ${text}`);
      if (!listed) unlisted += 1;
    }
    for (const each of SURVIVORS[module.file] ?? [])
      if (report.survivors.every(({ listed }) => listed !== each)) console.log(`        noticed now: ${each.line}`);
  }
  console.log(
    `${percent(noticed, tried)} of ${tried} changes noticed. ${weak} modules have less than ${MIN_PERCENT} %, and ${unlisted} survivors have no reason in scripts/mutation/survivors.`,
  );
  return weak > 0 || unlisted > 0 ? 1 : 0;
}

process.exitCode = await main();
