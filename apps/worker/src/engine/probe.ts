/** What a new version is asked before it serves, inside the limited engine that loads it first. */
import { canonicalJson } from '@millrace/shared/canonical-json';
import type { TensorSpec } from '@millrace/shared/tensor';
import { parseTensorInput } from '@millrace/shared/tensor-json';
import { tensorRowText } from '@millrace/shared/tensor-rows';
import type { EngineSession } from './engine-session.ts';
import { runSession } from './ort-tensor.ts';
import { findSize, type TrialResult, tryRows } from './row-trial.ts';

export type ProbeQuestion =
  /** The handler's schemas: answered with `Schemas`. */
  | { ask: 'schemas' }
  /** A size with which a random row runs: a number, or null. */
  | { ask: 'size'; inputs: readonly TensorSpec[] }
  /** Row independence: answered with a TrialResult. */
  | { ask: 'rows'; inputs: readonly TensorSpec[]; size: number }
  /** An input as callers give it, from end to end: answered with the JSON text of its output. */
  | { ask: 'example'; inputs: readonly TensorSpec[]; example: unknown };

export interface Schemas {
  input: unknown;
  output: unknown;
}

/** Throws what the model or its handler throws. */
export async function probe(
  session: EngineSession,
  question: ProbeQuestion,
): Promise<Schemas | TrialResult | number | string | null> {
  const run = (tensors: Parameters<typeof runSession>[1]) => runSession(session.session, tensors);
  const { handler, context } = session;
  switch (question.ask) {
    case 'schemas':
      return { input: handler?.input ?? null, output: handler?.output ?? null };
    case 'size':
      return (await findSize(question.inputs, run)) ?? null;
    case 'rows':
      return tryRows(question.inputs, run, question.size);
    case 'example': {
      const { inputs, example } = question;
      const row =
        handler === null
          ? tensorRowText(parseTensorInput(inputs, example))
          : canonicalJson(await handler.canonicalize(example, context));
      return (await session.run(`[${row}]`, 1))[0]!;
    }
  }
}
