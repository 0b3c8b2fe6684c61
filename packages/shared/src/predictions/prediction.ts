/** The record and the statuses of a prediction, and the only code that writes a prediction as JSON. */
import { joinTexts, type LongText, type Text } from './long-text.ts';

/** Every status, in the order of the life of a prediction. */
export const STATUSES = ['queued', 'running', 'succeeded', 'failed', 'canceled', 'expired'] as const;
export type Status = (typeof STATUSES)[number];
export type TerminalStatus = 'succeeded' | 'failed' | 'canceled' | 'expired';
export type Priority = 'low' | 'normal' | 'high';

/** The priority numbers of BullMQ: lower numbers run first. Every job has a number, because BullMQ runs jobs without one first. */
export const BULL_PRIORITY: Readonly<Record<Priority, number>> = { high: 1, normal: 5, low: 9 };

export const isTerminal = (status: string): status is TerminalStatus => status !== 'queued' && status !== 'running';

/** All values in the JSON of a prediction. Times are Unix milliseconds. */
export interface PredictionRecord {
  id: string;
  model: string;
  version: string;
  status: Status;
  /**
   * JSON text of the output, or of the error (a problem); '' before the prediction has ended. Responses contain the text
   * unparsed.
   */
  result: Text;
  createdAt: number;
  startedAt: number | null;
  completedAt: number | null;
  expiresAt: number | null;
  attempts: number;
  /** 0, and one more for each retry: an end belongs to one opening. The JSON of a prediction does not contain the opening. */
  opening: number;
  /** JSON text; '' for none. */
  metadata: string;
  inferenceMs: number | null;
  batchSize: number | null;
}

export interface QueueEstimate {
  position: number;
  estimatedStartAt: number;
  estimatedCompletionAt: number;
}

// Predictions of a batch have the same times, and formatting a time costs more than finding its text in the map.
const isoTexts = new Map<number, string>();
const ISO_KEPT = 1_000;

function iso(ms: number | null): string {
  if (ms === null) return 'null';
  let text = isoTexts.get(ms);
  if (text === undefined) {
    text = `"${new Date(ms).toISOString()}"`;
    if (isoTexts.size >= ISO_KEPT) isoTexts.clear();
    isoTexts.set(ms, text);
  }
  return text;
}

const round = (ms: number | null): string => (ms === null ? 'null' : String(Math.round(ms * 1000) / 1000));

/** All members of a record except the opening, which is not in the JSON. */
type Rendered = Omit<PredictionRecord, 'opening'>;

/** Returns the JSON text of a prediction, with its `result` unchanged. The text of a long result is a LongText. */
export function renderPrediction(record: Rendered & { result: string }, queue?: QueueEstimate): string;
export function renderPrediction(record: Rendered, queue?: QueueEstimate): Text;
export function renderPrediction(record: Rendered, queue?: QueueEstimate): Text {
  const { status, result } = record;
  if (status === 'succeeded' && typeof result !== 'string') return renderLong(record, result, queue);
  return render(record, `"output":${status === 'succeeded' ? result : 'null'},`, queue);
}

const OUTPUT = '"output":';

function renderLong(record: Rendered, output: LongText, queue: QueueEstimate | undefined): LongText {
  const json = render({ ...record, result: '' }, `${OUTPUT},`, queue);
  // No text before the output contains the name of the member unescaped.
  const at = json.indexOf(OUTPUT) + OUTPUT.length;
  return joinTexts([json.slice(0, at), output, json.slice(at)]);
}

/** Returns the same text as `renderPrediction`, without the member `output`. */
export const renderWithoutOutput = (record: Rendered): string => render(record, '', undefined);

function render(record: Rendered, output: string, queue: QueueEstimate | undefined): string {
  const { id, status, result, createdAt, startedAt, completedAt } = record;
  const error = status === 'succeeded' || result === '' ? 'null' : result;
  const queueMs = startedAt === null ? null : startedAt - createdAt;
  const totalMs = completedAt === null ? null : completedAt - createdAt;
  const estimate =
    queue === undefined
      ? ''
      : `"queue":{"position":${queue.position},"estimated_start_at":${iso(queue.estimatedStartAt)},` +
        `"estimated_completion_at":${iso(queue.estimatedCompletionAt)}},`;
  return (
    `{"id":"${id}","model":${JSON.stringify(record.model)},"version":${JSON.stringify(record.version)},` +
    `"status":"${status}",${output}"error":${error},"created_at":${iso(createdAt)},` +
    `"started_at":${iso(startedAt)},"completed_at":${iso(completedAt)},"expires_at":${iso(record.expiresAt)},` +
    `"attempts":${record.attempts},"metadata":${record.metadata || 'null'},` +
    `"metrics":{"queue_ms":${round(queueMs)},"inference_ms":${round(record.inferenceMs)},` +
    `"total_ms":${round(totalMs)},"batch_size":${record.batchSize ?? 'null'}},${estimate}` +
    `"urls":{"self":"/v1/predictions/${id}","events":"/v1/predictions/${id}/events",` +
    `"cancel":"/v1/predictions/${id}/cancel"}}`
  );
}
