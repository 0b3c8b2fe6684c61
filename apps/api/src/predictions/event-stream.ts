/** One stream of server-sent events: the text of the events, and the pace of a slow reader. */
import type { ServerResponse } from 'node:http';
import { joinTexts, LongText, type Text } from '@millrace/shared/predictions/long-text';
import {
  isTerminal,
  type PredictionRecord,
  type QueueEstimate,
  renderPrediction,
  type Status,
} from '@millrace/shared/predictions/prediction';
import { writeText } from '../http/write-text.ts';
import type { Found } from './find-prediction.ts';

/** How soon a client reconnects after its connection breaks. */
const RETRY_MS = 1_000;
/** A reader that reads nothing for this number of heartbeats counts as disconnected. */
const STUCK_HEARTBEATS = 4;

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // Without this header nginx buffers events.
  'x-accel-buffering': 'no',
};

/** Writes at the pace of the reader: while the reader is busy, only the newest state is kept. */
export class EventStream {
  readonly #raw: ServerResponse;
  /** The public URL of links. */
  readonly #base: string;
  #lastId: string;
  #held: Found | undefined;
  #full = false;
  /** Is sent with the first event. Sent without data, some clients would take the line for an empty event. */
  #first = `retry: ${RETRY_MS}\n`;
  #beatsStuck = 0;

  constructor(raw: ServerResponse, lastId: string, base: string) {
    this.#raw = raw;
    this.#base = base;
    this.#lastId = lastId;
    raw.writeHead(200, HEADERS);
    // If the client already has the present state, no event follows soon: the headers must not wait for an event.
    raw.flushHeaders();
    raw.on('drain', () => this.#drained());
  }

  /** Sends a state, unless the client has the state already. Ends the stream after a terminal state. */
  send(found: Found): void {
    if (this.#raw.writableEnded) return;
    if (this.#full) {
      this.#held = found;
      return;
    }
    const { record, queue } = found;
    const id = eventIdOf(record, queue);
    if (id !== this.#lastId) {
      this.#lastId = id;
      const first = this.#first;
      this.#first = '';
      this.#full = !writeText(
        this.#raw,
        eventText(`${first}id: ${id}`, renderPrediction(record, this.#base, queue), record.status),
      );
    }
    if (isTerminal(record.status)) this.end();
  }

  #drained(): void {
    this.#full = false;
    this.#beatsStuck = 0;
    const held = this.#held;
    this.#held = undefined;
    if (held) this.send(held);
  }

  /** Writes a comment that keeps the connection open, or closes the connection of a stuck reader. */
  beat(): void {
    if (!this.#full) {
      this.#full = !this.#raw.write(':\n\n');
      return;
    }
    this.#beatsStuck += 1;
    if (this.#beatsStuck >= STUCK_HEARTBEATS) this.#raw.destroy();
  }

  end(): void {
    this.#raw.end();
  }
}

/** The id of a state: two events with the same id have the same state. */
export function eventIdOf({ status, attempts, opening }: PredictionRecord, queue: QueueEstimate | undefined): string {
  const tries = opening === 0 ? `${attempts}` : `${opening}-${attempts}`;
  return status === 'queued' ? `${tries}.queued.${queue?.position ?? 0}` : `${tries}.${status}`;
}

/** One event. The data is the JSON of the prediction on one line: line breaks occur only between the tokens of the JSON. */
function eventText(head: string, data: Text, status: Status): Text {
  const before = `${head}\nevent: ${status}\ndata: `;
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
