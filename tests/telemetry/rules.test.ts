/** The alerts of deploy/prometheus: each fires on its series, and reads only metrics that a running system has. */
import { execFile, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';

const DIR = path.resolve(import.meta.dirname, '../../deploy/prometheus');
const RULES = path.join(DIR, 'rules.yaml');
const TESTS = readdirSync(path.join(DIR, 'tests')).map((file) => path.join(DIR, 'tests', file));

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string };
}
const rules = (parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);

interface RuleTests {
  tests: { name: string; alert_rule_test: { alertname: string; exp_alerts?: unknown[] }[] }[];
}
const ruleTests = TESTS.flatMap((file) => (parse(readFileSync(file, 'utf8')) as RuleTests).tests);

/** promtool is a part of Debian's package prometheus. */
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
const run = promisify(execFile);
const promtool = (args: string[]) => run('promtool', args);

describe.skipIf(!hasPromtool)('promtool', () => {
  test('accepts the rules', async () => {
    const { stdout } = await promtool(['check', 'rules', RULES]);
    expect(stdout).toContain(`SUCCESS: ${rules.length} rules found`);
  });

  // A rejection has the report of promtool.
  test.each(TESTS.map((file) => path.basename(file)))('runs the tests of %s', async (file) => {
    const { stdout } = await promtool(['test', 'rules', path.join(DIR, 'tests', file)]);
    expect(stdout).toContain('SUCCESS');
  });
});

test.each(rules.map(({ alert }) => alert))('%s has a test that fires, and a test on a healthy series', (alert) => {
  const of = ruleTests.flatMap(({ alert_rule_test: cases }) => cases).filter(({ alertname }) => alertname === alert);
  expect(of.some(({ exp_alerts: expected = [] }) => expected.length > 0)).toBe(true);
  expect(of.some(({ exp_alerts: expected = [] }) => expected.length === 0)).toBe(true);
});

test('each alert has a severity and a sentence', () => {
  for (const { alert, labels, annotations } of rules) {
    expect(alert).toMatch(/^Millrace[A-Za-z]+$/);
    expect(['page', 'ticket', 'notice']).toContain(labels.severity);
    expect(annotations.summary).toMatch(/[.:].*$|\.$/);
  }
});

describe('a running system', () => {
  let millrace: Millrace;
  let folder: Awaited<ReturnType<typeof makeModelFolder>>;
  beforeAll(async () => {
    folder = await makeModelFolder(['rows']);
    millrace = await startMillrace({ modelsDir: folder.dir, models: ['rows'] });
  });
  afterAll(async () => {
    await millrace?.close();
    await folder?.remove();
  });

  test('has each metric that an alert reads', async () => {
    const urls = [millrace.url, millrace.workers[0]?.url];
    const texts = await Promise.all(urls.map(async (url) => (await fetch(`${url}/metrics`)).text()));
    const families = new Set(texts.join('\n').match(/(?<=^# TYPE )\w+/gm));
    const read = new Set(rules.flatMap(({ expr }) => expr.match(/\b(?:millrace|nodejs|process)_\w+/g) ?? []));
    expect(read.size).toBeGreaterThan(30);
    const missing = [...read].filter(
      (name) => !families.has(name) && !families.has(name.replace(/_(bucket|sum|count)$/, '')),
    );
    expect(missing).toEqual([]);
  });
});
