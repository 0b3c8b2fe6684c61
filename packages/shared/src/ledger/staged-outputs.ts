/**
 * Staged outputs: a worker writes the long output of a promise into the open row of the ledger before the prediction ends on the
 * queue Redis. The live state then has only the length and the checksum of the output. The end of the prediction is decided in Redis as for every
 * other prediction: an output that is staged and not confirmed by an end is removed by the end of the next run, or by another end.
 */
import type { Db } from '../postgres/db.ts';
import { LongText } from '../predictions/long-text.ts';
import type { LedgerOutput } from '../predictions/prediction-state.ts';

/** Shorter outputs are in the live state: a statement for each of them would cost more than their bytes in Redis. */
export const STAGED_OUTPUT_BYTES = 1_048_576;

/** The run that computed an output. */
export interface OutputRun {
  id: string;
  opening: number;
  attempt: number;
}

/**
 * An opening stages one output. A second run of the opening writes its output to the live state: the first run may have confirmed its
 * output in Redis, or a process that does not know staged outputs may have discarded the state of the first run.
 */
const MAY_STAGE = `id = $1 AND opening = $2 AND status IN ('queued', 'running') AND promised
  AND (staged_opening IS NULL OR staged_opening < $2)`;

/** Whether the ledger has the open row of the run: a prediction whose caller waits has no row. */
export async function mayStageOutput(db: Db, { id, opening }: Omit<OutputRun, 'attempt'>): Promise<boolean> {
  const text = `SELECT FROM predictions WHERE ${MAY_STAGE}`;
  return (await db.query({ name: 'may-stage-output', text, values: [id, opening] })).rowCount === 1;
}

/**
 * Writes the output (UTF-8 of JSON text) into the open row. Returns whether the row has the output: false for a row that has ended, that is of
 * another opening, or that has an output of this opening.
 */
export async function stageOutput(db: Db, { id, opening, attempt }: OutputRun, output: Buffer): Promise<boolean> {
  const text = `UPDATE predictions SET staged_output = $4::text, staged_opening = $2, staged_attempt = $3 WHERE ${MAY_STAGE}`;
  return (await db.query({ name: 'stage-output', text, values: [id, opening, attempt, output] })).rowCount === 1;
}

const READ = `
  SELECT output FROM (
    SELECT CASE WHEN status = 'succeeded' AND opening = $2 AND attempts = $3 THEN result
                WHEN status IN ('queued', 'running') AND staged_opening = $2 AND staged_attempt = $3 THEN staged_output
           END AS output
      FROM predictions WHERE id = $1 AND opening = $2) AS row
   WHERE octet_length(output) = $4`;

/**
 * Reads an output that a live state describes, before and after the record of its end. Undefined if the ledger does not have an output of
 * this run and this length.
 */
export async function readStagedOutput(
  db: Db,
  { id, opening, attempt }: OutputRun,
  { bytes }: Pick<LedgerOutput, 'bytes'>,
): Promise<LongText | undefined> {
  const values = [id, opening, attempt, bytes];
  const { rows } = await db.query<{ output: string }>({ name: 'read-staged-output', text: READ, values });
  return rows[0] && new LongText([Buffer.from(rows[0].output)]);
}
