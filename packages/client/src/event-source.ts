/** Reads a stream of server-sent events (HTML, section 9.2). The data of an event has its type too. */

export interface ServerEvent {
  id: string;
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
  #data: string[] = [];
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
      if (this.#data.length > 0) events.push({ id: this.#lastId, data: this.#data.join('\n') });
      this.#data = [];
      return;
    }
    const [, name, value = ''] = /^(.*?)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (name === 'data') this.#data.push(value);
    if (name === 'id') this.#lastId = value;
  }
}
