import { createConnection } from 'node:net';
import { EventSource } from 'eventsource';
import { describe, expect, test } from 'vitest';
import { holdWorker } from '../support/slow-work.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['slow', 'echo'], { WORKER_CONCURRENCY: '1' });

interface Seen {
  type: string;
  id: string;
  position?: number;
}

const TYPES = ['queued', 'running', 'succeeded', 'failed', 'canceled', 'expired'];

/** Collects the events that a browser's EventSource sees until the server ends the stream for good. */
function watch(id: string): Promise<Seen[]> & { first: Promise<void> } {
  const seen: Seen[] = [];
  const source = new EventSource(`${millrace.url}/v1/predictions/${id}/events`);
  const first = Promise.withResolvers<void>();
  const all = new Promise<Seen[]>((resolve) => {
    for (const type of TYPES) {
      source.addEventListener(type, (event) => {
        const { queue, status } = JSON.parse(event.data);
        expect(status).toBe(type);
        seen.push({ type, id: event.lastEventId, ...(queue ? { position: queue.position } : {}) });
        first.resolve();
      });
    }
    source.addEventListener('error', () => {
      // A 204 closes the EventSource. Otherwise the EventSource reconnects by itself.
      if (source.readyState === source.CLOSED) resolve(seen);
    });
  });
  return Object.assign(all, { first: first.promise });
}

describe('the event stream of a prediction', () => {
  test('sends an EventSource the queue position, the run and the end once each, and then closes for good', async () => {
    const held = await holdWorker(millrace);
    const before = await millrace.predict('slow', { input: { x: [400_000] } });
    const { body } = await millrace.predict('slow', { input: { x: [400_001] } });
    const watching = watch(body.id);
    await watching.first;
    await held.release();
    const seen = await watching;
    expect(before.status).toBe(202);
    expect(seen.map(({ type }) => type).filter((type, at, all) => type !== all[at - 1])).toEqual([
      'queued',
      'running',
      'succeeded',
    ]);
    const positions = seen.filter(({ type }) => type === 'queued').map(({ position }) => position as number);
    expect(positions[0]).toBeGreaterThan(1);
    expect(positions).toEqual([...new Set(positions)].sort((a, b) => b - a));
    expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
  });

  test('of an ended prediction sends the last event, or nothing to a client that has seen the last event', async () => {
    const { body } = await millrace.predict('echo', { input: { x: [1, 2] }, metadata: {} }, { prefer: 'wait=10' });
    const path = `/v1/predictions/${body.id}/events`;
    const all = await millrace.request(path);
    expect(all.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(all.text).toMatch(/^retry: 1000\nid: 1\.succeeded\nevent: succeeded\ndata: \{.*\}\n\n$/);
    expect((await millrace.request(path, { headers: { 'last-event-id': '1.succeeded' } })).status).toBe(204);
    expect((await millrace.request(path, { headers: { 'last-event-id': '0.queued.3' } })).text).toBe(all.text);
    expect((await millrace.request('/v1/predictions/none/events')).body.code).toBe('prediction_not_found');
    expect((await millrace.request(path, { method: 'HEAD' })).status).toBe(405);
  });

  test('goes on after a cancel and a retry for a client that still listens', async () => {
    const held = await holdWorker(millrace);
    const { body } = await millrace.predict('slow', { input: { x: [11] } });
    const watching = watch(body.id);
    await watching.first;
    await millrace.request(`/v1/predictions/${body.id}/cancel`, { method: 'POST' });
    expect((await watching).at(-1)).toMatchObject({ type: 'canceled' });
    await held.release();
  });

  test('serves a thousand clients at once with one read per event', async () => {
    const held = await holdWorker(millrace);
    const { body } = await millrace.predict('slow', { input: { x: [12] } });
    const streams = Array.from({ length: 1_000 }, () => rawStream(body.id));
    await Promise.all(streams.map(({ first }) => first));
    await held.release();
    const texts = await Promise.all(streams.map(({ all }) => all));
    expect(texts.filter((text) => /event: succeeded\n/.test(text))).toHaveLength(1_000);
  });
});

/** A client that uses only a socket. */
function rawStream(id: string): { first: Promise<void>; all: Promise<string> } {
  const { hostname, port } = new URL(millrace.url);
  const socket = createConnection(Number(port), hostname);
  socket.write(`GET /v1/predictions/${id}/events HTTP/1.0\r\nHost: x\r\n\r\n`);
  const first = Promise.withResolvers<void>();
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
    if (text.includes('event: ')) first.resolve();
  });
  const all = new Promise<string>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
  return { first: first.promise, all };
}
