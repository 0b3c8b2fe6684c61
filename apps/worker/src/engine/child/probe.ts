/**
 * Examines a new version for the worker that verifies the version: the schemas, the operators, a trial of rows, the examples. Runs in an engine
 * with a limit of memory, because the version can be faulty.
 */

import type { TensorMap, TensorSpec } from '@millrace/shared/tensors/tensor';
import { parseTensorInput } from '@millrace/shared/tensors/tensor-json';
import { splitRows, tensorRowText } from '@millrace/shared/tensors/tensor-rows';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import type { ExampleReport } from '../protocol/example-report.ts';
import type { Operators, ProbeRequest, RepeatResult, Schemas, TrialResult } from '../protocol/probe-request.ts';
import { findBatchOperators } from './batch-operators.ts';
import { reportExample } from './example-stages.ts';
import { inStage } from './handler-stages.ts';
import { findRanges, knownRanges } from './input-ranges.ts';
import { runSession } from './ort-tensor.ts';
import { randomFrom, randomRow } from './random-input.ts';
import { findRandomOperator } from './random-operators.ts';
import { tryRepeats } from './repeat-trial.ts';
import { findSize, type RunTensors, tryRows } from './row-trial.ts';
import type { EngineSession } from './session.ts';

/** The kind of the request decides the type of the result. Throws the error of the model or its handler. */
export async function probe(
  session: EngineSession,
  request: ProbeRequest,
): Promise<Schemas | Operators | RepeatResult | TrialResult | ExampleReport | number | string | null> {
  const run: RunTensors = (tensors) => runSession(session.session, tensors);
  const { handler } = session;
  switch (request.kind) {
    case 'schemas':
      // A tokenizer that cannot be loaded fails the version, and not its first prediction.
      if (handler !== null && 'prepare' in handler) await handler.prepare?.();
      return { input: handler?.input ?? null, output: handler?.output ?? null };
    case 'operators':
      return operatorsOf(session, request.inputs);
    case 'size':
      return (await findSize(request.inputs, run, knownRanges(request.vocabulary))) ?? null;
    case 'repeats': {
      const { inputs, size, vocabulary } = request;
      return tryRepeats(inputs, run, { size, ranges: knownRanges(vocabulary) });
    }
    case 'rows': {
      const { inputs, size, vocabulary, maxBatch } = request;
      const ranges = await findRanges(inputs, run, { size, known: knownRanges(vocabulary) });
      const examples = await exampleRows(session, inputs, request.examples);
      return tryRows(run, { inputs, size, ranges, maxBatch, examples });
    }
    case 'example': {
      const { inputs, example } = request;
      return (await session.run(`[${await canonicalText(session, inputs, example)}]`, 1))[0]!;
    }
    case 'row': {
      const { inputs, example, vocabulary } = request;
      if (example !== undefined) return canonicalText(session, inputs, example);
      const ranges = knownRanges(vocabulary);
      const size = handler === null ? await findSize(inputs, run, ranges) : undefined;
      if (size === undefined) return null;
      return tensorRowText(randomRow(inputs, { size, ranges, kind: { scale: 1 }, random: randomFrom(1) }));
    }
    case 'stages':
      return reportExample(session, request.inputs, request.example);
  }
}

async function canonicalText(
  { handler, context }: EngineSession,
  inputs: readonly TensorSpec[],
  example: unknown,
): Promise<string> {
  if (handler === null) return tensorRowText(parseTensorInput(inputs, example));
  return inStage('canonicalize', async () => canonicalJson(await handler.canonicalize(example, context)));
}

function operatorsOf({ graph }: EngineSession, inputs: readonly TensorSpec[]): Operators {
  if (graph === undefined) return { coupled: 'its graph was not examined', vocabulary: {}, rowOutputs: [] };
  const random = findRandomOperator(graph);
  return { ...findBatchOperators(graph, inputs), ...(random === undefined ? {} : { random }) };
}

/** The rows of the examples that can be encoded. */
async function exampleRows(
  { handler, context }: EngineSession,
  inputs: readonly TensorSpec[],
  examples: readonly unknown[],
): Promise<TensorMap[]> {
  const rows: TensorMap[] = [];
  for (const example of examples) {
    try {
      rows.push(
        ...splitRows(
          handler === null
            ? parseTensorInput(inputs, example)
            : await handler.encode([await handler.canonicalize(example, context)], context),
        ),
      );
    } catch {
      // The run of the example (`kind: 'example'`) reports the error.
    }
  }
  return rows;
}
