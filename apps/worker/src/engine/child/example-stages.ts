/** Runs an example through each stage singly, and shows the owner of the model the output of each stage and the place of a failure. */
import type { Handler, HandlerContext, Json } from '@millrace/shared/model-files/handler';
import { placeIn } from '@millrace/shared/model-files/handler-fault';
import type { TensorMap, TensorSpec } from '@millrace/shared/tensors/tensor';
import { parseTensorInput } from '@millrace/shared/tensors/tensor-json';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import type { ExampleReport, ExampleStage } from '../protocol/example-report.ts';
import { decodeRows, encodeRows, inStage, StageError } from './handler-stages.ts';
import { runSession } from './ort-tensor.ts';
import { OutputChecker } from './output-checker.ts';
import type { EngineSession } from './session.ts';

/** Characters of a value that a report shows. */
const SHOWN_MAX = 120;

/** Never rejects: the report has the error. */
export async function reportExample(
  session: EngineSession,
  inputs: readonly TensorSpec[],
  example: unknown,
): Promise<ExampleReport> {
  const lines: string[] = [];
  let stage: ExampleStage = 'input';
  const enter = (next: ExampleStage): void => {
    stage = next;
  };
  try {
    if (session.handler === null) await runTensors(session, { inputs, example }, { lines, enter });
    else await runHandler(session.handler, { session, example }, { lines, enter });
    return { lines, failure: null };
  } catch (error) {
    const cause = error instanceof StageError ? error.cause : error;
    const { message, stack = '' } = cause instanceof Error ? cause : new Error(String(cause));
    const { pointer } = (cause ?? {}) as { pointer?: unknown };
    const input = typeof pointer === 'string' && pointer !== '' ? { pointer } : {};
    return { lines, failure: { stage, place: placeIn(stack, message) ?? null, message, ...input } };
  }
}

interface Notes {
  lines: string[];
  enter(stage: ExampleStage): void;
}

async function runTensors(
  session: EngineSession,
  { inputs, example }: { inputs: readonly TensorSpec[]; example: unknown },
  { lines, enter }: Notes,
): Promise<void> {
  const tensors = parseTensorInput(inputs, example);
  lines.push(`input         ${tensorsText(tensors)}`);
  enter('model');
  lines.push(`model         ${tensorsText(await runSession(session.session, tensors))}`);
}

async function runHandler(
  handler: Handler,
  { session, example }: { session: EngineSession; example: unknown },
  { lines, enter }: Notes,
): Promise<void> {
  const { context } = session;
  new OutputChecker(handler.input, 'the example').textOf(example);
  lines.push('input         matches the schema');
  enter('canonicalize');
  const row = await canonicalForm(handler, example, context);
  lines.push(`canonicalize  ${shown(row)}`);
  enter('encode');
  const rows = [JSON.parse(row) as Json];
  const tensors = await encodeRows({ handler, context, inputs: session.specs().inputs }, rows);
  lines.push(`encode        ${tensorsText(tensors)}`);
  enter('model');
  const made = await runSession(session.session, tensors);
  lines.push(`model         ${tensorsText(made)}`);
  enter('decode');
  const [output] = await decodeRows({ handler, context, tensors: made }, rows);
  lines.push(`decode        ${shown(new OutputChecker(handler.output).textOf(output))}`);
}

const canonicalForm = (handler: Handler, example: unknown, context: HandlerContext): Promise<string> =>
  inStage('canonicalize', async () => canonicalJson(await handler.canonicalize(example, context)));

const tensorsText = (tensors: TensorMap): string =>
  Object.entries(tensors)
    .map(([name, { dtype, dims }]) => `${name} ${dtype}[${dims.join(', ')}]`)
    .join('; ');

const shown = (text: string): string => (text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text);
