/** Reads a stream of server-sent events (HTML, section 9.2), as far as the API sends them. */

export interface ServerEvent {
  id: string;
  type: string;
  data: string;
}

/** Returns the events in the bytes of a response. `onBytes` is called for each part that arrives, also for comments. */
export async function* readEvents(body: ReadableStream<Uint8Array>, onBytes: () => void): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const parser = new EventParser();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Collects the pieces of the present line: a long line arrives in many pieces, and each piece is searched once. */
export class EventParser {
  #pieces: string[] = [];
  #endsInReturn = false;
  #event = { type: '', data: [] as string[] };
  #lastId = '';

  push(text: string): ServerEvent[] {
    if (text === '') return [];
    // The line feed belongs to the carriage return of the previous piece, which has ended its line.
    const rest = this.#endsInReturn && text.startsWith('\n') ? text.slice(1) : text;
    this.#endsInReturn = text.endsWith('\r');
    const lines = rest.split(/\r\n|\n|\r/);
    const last = lines.pop() ?? '';
    const events: ServerEvent[] = [];
    for (const line of lines) {
      this.#line(this.#pieces.join('') + line, events);
      this.#pieces = [];
    }
    this.#pieces.push(last);
    return events;
  }

  #line(line: string, events: ServerEvent[]): void {
    if (line === '') {
      const { type, data } = this.#event;
      if (data.length > 0) events.push({ id: this.#lastId, type: type || 'message', data: data.join('\n') });
      this.#event = { type: '', data: [] };
      return;
    }
    const colon = line.indexOf(':');
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'data') this.#event.data.push(value);
    else if (name === 'event') this.#event.type = value;
    else if (name === 'id') this.#lastId = value;
  }
}
