/** Server-sent events of one prediction, as text: what is told, under which id, and what need not be told again. */
import { type PredictionRecord, type QueueEstimate, renderPrediction } from '@millrace/shared/predictions/prediction';

/** Names a state: the same id again is the same news. Terminal ones end a stream for good. */
export function eventIdOf({ status, attempts, opening }: PredictionRecord, queue: QueueEstimate | undefined): string {
  const tries = opening === 0 ? `${attempts}` : `${opening}-${attempts}`;
  return status === 'queued' ? `${tries}.queued.${queue?.position ?? 0}` : `${tries}.${status}`;
}

/** One event. Its data is the prediction, on one line: a line break can only stand between JSON's tokens. */
export function eventText(id: string, record: PredictionRecord, queue: QueueEstimate | undefined): string {
  const data = renderPrediction(record, queue).replaceAll(/[\r\n]+/g, ' ');
  return `id: ${id}\nevent: ${record.status}\ndata: ${data}\n\n`;
}
