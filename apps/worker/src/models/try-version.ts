/** The trials of a new version: whether its rows are independent, and whether equal runs give equal results. */

import type { Findings, ModelConfig } from '@millrace/shared/model-files/model-config';
import { findingsOf, resolveModelConfig } from '@millrace/shared/model-files/model-config';
import type { FoundVersion } from '@millrace/shared/model-files/read-version';
import { EngineError } from '../engine/engine-error.ts';
import type { ExampleReport } from '../engine/protocol/example-report.ts';
import type { Operators, ProbeRequest, RepeatResult, TrialResult } from '../engine/protocol/probe-request.ts';
import { plainReason } from './plain-reason.ts';
import { isCandidate, RefusedModelError, type Signature, withRowOutputs } from './read-signature.ts';

/** Sends a request to the engine that has the version loaded. Loads the version again where a trial has ended its engine. */
export type Probe = (request: ProbeRequest, timeoutMs?: number) => Promise<unknown>;

export interface TryParams {
  found: FoundVersion;
  signature: Signature;
  probe: Probe;
}

export interface Tried {
  findings: Findings;
  /** The given signature; for independent rows, with the row dimension of the inputs in all outputs. */
  signature: Signature;
}

/** Rejects only where the engine cannot be had. */
export async function tryVersion({ found, signature, probe }: TryParams): Promise<Tried> {
  const { inputs } = signature;
  const { row_independent, deterministic, max_batch = 64 } = found.file;
  const operators = (await probe({ kind: 'operators', inputs })) as Operators;
  const { random, coupled, vocabulary, rowOutputs } = operators;
  const followed = withRowOutputs(signature, rowOutputs);
  const needsRows = row_independent === undefined && isCandidate(followed) && coupled === undefined;
  const needsRepeats = deterministic === undefined && random === undefined;
  const size = await sizeOf({ inputs, vocabulary, probe, needsRows, needsRepeats });

  const repeats = async (): Promise<RepeatResult> => {
    if (random !== undefined)
      return { deterministic: false, reason: `its operator ${random} draws random numbers at each run` };
    const untried = {
      deterministic: true,
      reason: 'no operator draws random numbers; no random row could be run twice',
    };
    if (size === null) return untried;
    try {
      return (await probe({ kind: 'repeats', inputs, size, vocabulary })) as RepeatResult;
    } catch {
      return untried;
    }
  };
  const rows = async (): Promise<TrialResult> => {
    if (!isCandidate(followed))
      return { independent: false, reason: 'its inputs and outputs share no free first dimension' };
    if (coupled !== undefined) return { independent: false, reason: coupled };
    if (size === null) return { independent: false, reason: 'no random row could be run' };
    const examples = (found.file.examples ?? []) as readonly unknown[];
    try {
      const request = { kind: 'rows' as const, inputs, size, vocabulary, maxBatch: max_batch, examples };
      return (await probe(request)) as TrialResult;
    } catch (error) {
      return { independent: false, reason: `rows together: ${(error as Error).message}` };
    }
  };

  const repeated = deterministic === undefined ? await repeats() : undefined;
  if (row_independent !== undefined)
    return { findings: findingsOf(found.file, { ...(repeated ? { answers: repeated } : {}) }), signature };
  if (repeated?.deterministic === false) {
    const reason = 'its results change between equal runs, so that a trial of rows says nothing';
    return { findings: findingsOf(found.file, { answers: repeated, rows: { independent: false, reason } }), signature };
  }
  const trial = await rows();
  const findings = findingsOf(found.file, { ...(repeated ? { answers: repeated } : {}), rows: trial });
  return { findings, signature: trial.independent ? followed : signature };
}

interface SizeParams extends Pick<TryParams, 'probe'> {
  inputs: Signature['inputs'];
  vocabulary: Operators['vocabulary'];
  needsRows: boolean;
  needsRepeats: boolean;
}

/** Rejects where a row of a model that would be batched ends its engine: such a model is refused. */
async function sizeOf({ inputs, vocabulary, probe, needsRows, needsRepeats }: SizeParams): Promise<number | null> {
  if (!needsRows && !needsRepeats) return null;
  try {
    return (await probe({ kind: 'size', inputs, vocabulary })) as number | null;
  } catch (error) {
    if (needsRows) throw error;
    return null;
  }
}

/** Repeats of examples end after this time: a hundred slow examples would delay the version. */
const REPEAT_MS = 10_000;

/**
 * Runs the examples of model.json, twice each while time allows. Throws RefusedModelError when an example fails. Returns new settings
 * when a result differs between the two runs: a handler can draw random numbers or read the clock.
 */
export async function runExamples({
  found,
  signature,
  probe,
  config,
}: TryParams & { config: ModelConfig }): Promise<ModelConfig | undefined> {
  const { inputs } = signature;
  const endAt = performance.now() + REPEAT_MS;
  let changed: ModelConfig | undefined;
  for (const [index, example] of config.examples.entries()) {
    const run = () => probe({ kind: 'example', inputs, example }, config.timeoutMs);
    try {
      const first = await run();
      const findings = config.findings as Findings;
      if (found.file.deterministic !== undefined || !config.deterministic || performance.now() > endAt) continue;
      if ((await run()) === first) continue;
      const reason = `the result of example ${index + 1} of model.json changes between runs`;
      changed ??= resolveModelConfig(
        found.file,
        { ...findings, answers: { deterministic: false, reason } },
        found.editOf,
      );
    } catch (error) {
      throw new RefusedModelError(
        `Example ${index + 1} of model.json fails${whereOf(error)}: ${plainReason((error as Error).message, found)}`,
      );
    }
  }
  return changed;
}

/** The stage and the line of a handler's error. */
function whereOf(error: unknown): string {
  const { stage, place } = (error instanceof EngineError && error.fault) || {};
  return stage === undefined ? '' : ` in ${stage}${place === undefined ? '' : ` at ${place}`}`;
}

/** Runs each example stage by stage. Rejects only where the engine cannot be had. */
export async function reportExamples({
  found,
  signature,
  probe,
  config,
}: TryParams & { config: ModelConfig }): Promise<ExampleReport[]> {
  const reports: ExampleReport[] = [];
  for (const example of config.examples) {
    const request = { kind: 'stages' as const, inputs: signature.inputs, example };
    try {
      const { lines, failure } = (await probe(request, config.timeoutMs)) as ExampleReport;
      const shown = failure && { ...failure, message: plainReason(failure.message, found) };
      reports.push({ lines, failure: shown });
    } catch (error) {
      // The example ended the engine: it took too long, or too much memory.
      const message = plainReason((error as Error).message, found);
      reports.push({ lines: [], failure: { stage: null, place: null, message } });
    }
  }
  return reports;
}
