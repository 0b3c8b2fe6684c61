/** Server-sent events of one prediction, as text: what is told, under which id, and what need not be told again. */

import { joinTexts, LongText, type Text } from '@millrace/shared/predictions/long-text';
import { type PredictionRecord, type QueueEstimate, renderPrediction } from '@millrace/shared/predictions/prediction';

/** Names a state: the same id again is the same news. Terminal ones end a stream for good. */
export function eventIdOf({ status, attempts, opening }: PredictionRecord, queue: QueueEstimate | undefined): string {
  const tries = opening === 0 ? `${attempts}` : `${opening}-${attempts}`;
  return status === 'queued' ? `${tries}.queued.${queue?.position ?? 0}` : `${tries}.${status}`;
}

/** One event. Its data is the prediction, on one line: a line break can only stand between JSON's tokens. */
export function eventText(id: string, record: PredictionRecord, queue: QueueEstimate | undefined): Text {
  const data = renderPrediction(record, queue);
  const before = `id: ${id}\nevent: ${record.status}\ndata: `;
  if (typeof data === 'string') return `${before}${data.replaceAll(/[\r\n]+/g, ' ')}\n\n`;
  return joinTexts([before, new LongText(data.pieces.map(onOneLine)), '\n\n']);
}

function onOneLine(piece: Buffer): Buffer {
  if (!piece.includes(CR) && !piece.includes(LF)) return piece;
  const line = Buffer.from(piece);
  for (let at = 0; at < line.length; at += 1) if (line[at] === CR || line[at] === LF) line[at] = BLANK;
  return line;
}

const [CR, LF, BLANK] = [0x0d, 0x0a, 0x20];
