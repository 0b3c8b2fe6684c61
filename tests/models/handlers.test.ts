/** Tests the messages for the author of a handler: missing packages, the examples stage by stage, and the line of an error. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeHandlerModels } from '../support/handler-models.ts';
import { runModels } from '../support/run-models.ts';

const handler = (parts: Partial<Record<'imports' | 'canonicalize' | 'encode' | 'decode', string>>) => `
import { defineHandler, InputError, Type } from '@millrace/handler';
${parts.imports ?? ''}
export default defineHandler({
  input: Type.Object({ x: Type.Number() }, { additionalProperties: false }),
  output: Type.Object({ y: Type.Number() }),
  canonicalize: ${parts.canonicalize ?? '({ x }) => x'},
  encode: ${parts.encode ?? "(rows) => ({ x: { dtype: 'float32', dims: [rows.length, 1], data: Float32Array.from(rows) } })"},
  decode: ${parts.decode ?? '({ y }, rows) => rows.map((_, at) => ({ y: y.data[at] }))'},
});
`;

const MODELS = {
  good: handler({}),
  doubles: handler({
    encode: "(rows) => ({ x: { dtype: 'float64', dims: [rows.length, 1], data: Float64Array.from(rows) } })",
  }),
  wide: handler({
    encode: "(rows) => ({ x: { dtype: 'float32', dims: [rows.length, 2], data: new Float32Array(2) } })",
  }),
  short: handler({
    encode: "(rows) => ({ x: { dtype: 'float32', dims: [rows.length, 1], data: new Float32Array(0) } })",
  }),
  misnamed: handler({
    encode: "(rows) => ({ z: { dtype: 'float32', dims: [rows.length, 1], data: Float32Array.from(rows) } })",
  }),
  empty: handler({ encode: '() => undefined' }),
  texts: handler({ decode: "(_, rows) => rows.map(() => ({ y: 'one' }))" }),
  few: handler({ decode: '() => []' }),
  thrower: handler({ decode: "() => {\n    throw new RangeError('there is no such row');\n  }" }),
  picky: handler({ canonicalize: "() => {\n    throw new InputError({ pointer: '/x', message: 'No.' });\n  }" }),
  strange: handler({ canonicalize: '() => undefined' }),
  stuck: handler({ encode: '() => { for (;;); }' }),
  listed: handler({ imports: "import 'listed-one';" }),
  unlisted: handler({ imports: "import '@scope/unlisted/sub';" }),
  deep: handler({ imports: "import 'half';" }),
  hash: handler({ imports: "import '#lib';" }),
  spelling: handler({ imports: 'const = 1;' }),
  raising: handler({ imports: "\nthrow new Error('no licence');" }),
  found: handler({ imports: "import { twice } from 'found-one';", canonicalize: '({ x }) => twice(x)' }),
};

let dir = '';
let remove = async () => {};
beforeAll(async () => {
  ({ dir, remove } = await makeHandlerModels(MODELS, {
    row_independent: true,
    timeout_ms: 1_000,
    examples: [{ x: 1 }],
  }));
  const file = async (name: string, text: string) => {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), text);
  };
  const config = (examples: unknown[]) => JSON.stringify({ row_independent: true, examples });
  await file('few/model.json', config([]));
  await file('good/model.json', config([{ x: 1 }, { x: 'two' }]));
  await file(
    'listed/package.json',
    JSON.stringify({ dependencies: { 'listed-one': '1', '@a/other': '2', typebox: '1' } }),
  );
  await file('deep/package.json', JSON.stringify({ dependencies: { half: '1' } }));
  await file('deep/node_modules/half/package.json', '{"name":"half","type":"module","exports":"./index.js"}');
  await file('deep/node_modules/half/index.js', "import 'other-half';");
  await file('hash/package.json', JSON.stringify({ imports: { '#lib': './lib.js' } }));
  await file('hash/lib.js', 'export {};');
  await file('found/package.json', JSON.stringify({ dependencies: { 'found-one': '1' } }));
  await file(
    'found/node_modules/found-one/package.json',
    '{"name":"found-one","type":"module","exports":"./index.js"}',
  );
  await file('found/node_modules/found-one/index.js', 'export const twice = (x) => 2 * x;');
});
afterAll(() => remove());

interface Checked {
  name: string;
  ok: boolean;
  reason: string | null;
  findings: string[];
}

let checked: Checked[] = [];
beforeAll(async () => {
  const { text } = await runModels({ dir, args: ['check', '--json'] });
  checked = JSON.parse(text).versions;
}, 120_000);

function check(model: string): Checked {
  const found = checked.find(({ name }) => name === `${model}/1`);
  if (found === undefined) throw new Error(`check did not report ${model}/1`);
  return found;
}

test.each<[string, RegExp]>([
  ['doubles', /^ {4}encode +fails: the tensor "x" has the type float64; the model expects x float32\[n, 1\]$/m],
  ['wide', /^ {4}encode +fails: the tensor "x" has the shape \[1, 2\]; the model expects x float32\[n, 1\]$/m],
  ['short', /^ {4}encode +fails: the tensor "x" has 0 elements; its shape \[1, 1\] needs 1$/m],
  ['misnamed', /^ {4}encode +fails: it returned no tensor "x", which the model takes \(x float32\[n, 1\]\), but z$/m],
  ['empty', /^ {4}encode +fails: it returned nothing; expected an object with a tensor for each input/m],
  ['texts', /^ {4}decode +fails: the output does not match its schema at \/y: must be number, got "one"$/m],
  ['thrower', /^ {4}decode +fails \(handler\.ts:10:\d+\): there is no such row$/m],
  ['picky', /^ {4}canonicalize +fails \(handler\.ts:8:\d+, input \/x\): No\.$/m],
  ['strange', /^ {4}canonicalize +fails: a value of type undefined is not JSON$/m],
  ['stuck', /^ {4}run +fails: it took longer than 1000 ms$/m],
])('check shows where an example of %s fails', (model, line) => {
  const { ok, reason, findings } = check(model);
  expect(findings.join('\n')).toMatch(line);
  expect(reason).toMatch(/^Example 1 of model.json fails/);
  expect(ok).toBe(false);
});

test('check shows what each stage makes of each example, and an example that the schema refuses', () => {
  const { ok, findings: lines } = check('good');
  const at = lines.indexOf('  example 1');
  expect(lines.slice(at, at + 8)).toEqual([
    '  example 1',
    '    input         matches the schema',
    '    canonicalize  1',
    '    encode        x float32[1, 1]',
    '    model         y float32[1, 1]',
    '    decode        {"y":1}',
    '  example 2',
    '    input         fails: the example does not match its schema at /x: must be number, got "two"',
  ]);
  expect(ok).toBe(false);
});

test('check says that nothing ran without examples', () => {
  const { ok, findings } = check('few');
  expect({ ok, findings }).toMatchObject({
    ok: true,
    findings: expect.arrayContaining([expect.stringContaining('examples none, so canonicalize')]),
  });
});

test.each<[string, RegExp]>([
  [
    'listed',
    /Cannot find packages 'listed-one', '@a\/other' of \S+\/listed\/package\.json: run `npm install` in \S+\/listed/,
  ],
  [
    'unlisted',
    /Cannot find package '@scope\/unlisted', which handler\.ts imports: run `npm install @scope\/unlisted` in/,
  ],
  ['deep', /Cannot find package 'other-half', which 'half' imports: run `npm install other-half` in/],
  ['hash', /handler\.ts imports '#lib' of package\.json, which its digest does not cover/],
  ['spelling', /handler\.ts:3: /],
  ['raising', /handler\.ts:4:7: no licence/],
])('a handler that cannot be loaded (%s) fails with the reason', (model, text) => {
  const { ok, reason } = check(model);
  expect(reason).toMatch(text);
  expect(reason).not.toContain(dir);
  expect(ok).toBe(false);
});

test('a package beside the handler is found', () => {
  expect(check('found')).toMatchObject({ ok: true, findings: expect.arrayContaining(['    canonicalize  2']) });
});

test('the command prints the examples as text, and fails for a failed example', { timeout: 180_000 }, async () => {
  const { code, text } = await runModels({ dir, args: ['check', 'doubles'] });
  expect(text).toMatch(/^doubles\/1: Example 1 of model\.json fails in encode: the tensor "x" has the type float64/);
  expect(text).toMatch(/^ {4}encode +fails: the tensor "x"/m);
  expect(code).toBe(1);
});

test('`add` takes the packages and files of the model', {
  timeout: 180_000,
}, async () => {
  const file = path.join(dir, 'found/1/model.onnx');
  const added = await runModels({ dir, args: ['add', file, '--name', 'found'] });
  expect(added).toMatchObject({ code: 0, text: expect.stringContaining('    canonicalize  2') });
  await rm(path.join(dir, 'found/2'), { recursive: true });
});
