import { describe, expect, test } from 'vitest';
import { problem } from '../errors.ts';
import { API_VERSION } from '../predictions/event-constants.ts';
import type { TerminalStatus } from '../predictions/prediction.ts';
import { endpointPayload, eventBody, PREDICTION_EVENTS, type StoredEvent } from './event.ts';
import { laneOf } from './lane.ts';

const prediction = '0197c7f0-0000-7003-8000-000000000000';
const publicPrediction = 'pred_0197c7f0000070038000000000000000';
const completedAt = Date.UTC(2026, 0, 1, 0, 0, 1, 5);
const event: StoredEvent = {
  id: '0197c7f0-0000-7000-8000-000000000001',
  eventTenant: 'default',
  type: 'prediction.failed',
  body: null,
  createdAt: completedAt + 5,
  payload: null,
  prediction,
  model: 'drug-interaction',
  version: '1',
  opening: 0,
  endedAt: completedAt,
  endErrorCode: 'inference_timeout',
  status: 'failed',
  predictionCreatedAt: Date.UTC(2026, 0, 1),
  completedAt,
  metadata: '{"order":17}',
  errorCode: 'inference_timeout',
  error: JSON.stringify(problem('inference_timeout', 'It took too long.')),
};
const dataOf = (given: StoredEvent) => JSON.parse(eventBody(given, undefined)).data;

describe('the event of a prediction', () => {
  test('has the result of the prediction and the URL of the prediction', () => {
    expect(JSON.parse(eventBody(event, 'https://api.example.com/'))).toEqual({
      id: event.id,
      api_version: API_VERSION,
      tenant: 'default',
      type: 'prediction.failed',
      timestamp: '2026-01-01T00:00:01.010Z',
      data: {
        id: publicPrediction,
        model: 'drug-interaction',
        version: '1',
        status: 'failed',
        opening: 0,
        error: problem('inference_timeout', 'It took too long.'),
        created_at: '2026-01-01T00:00:00.000Z',
        completed_at: '2026-01-01T00:00:01.005Z',
        metadata: { order: 17 },
        url: `https://api.example.com/v1/predictions/${publicPrediction}`,
      },
    });
  });

  test('has a path in place of a URL when no public URL is configured', () => {
    expect(dataOf(event).url).toBe(`/v1/predictions/${publicPrediction}`);
  });

  test('stays the same after a retry, after another end, and after the ledger has dropped the prediction', () => {
    const same = { status: 'failed', error: { code: 'inference_timeout' }, completed_at: '2026-01-01T00:00:01.005Z' };
    expect(dataOf({ ...event, status: 'queued', completedAt: null, errorCode: null })).toMatchObject(same);
    const error = JSON.stringify(problem('worker_lost', 'Its worker died.'));
    const again = { ...event, status: 'failed', completedAt: completedAt + 900, errorCode: 'worker_lost', error };
    expect(dataOf(again)).toMatchObject(same);
    const gone = {
      status: null,
      predictionCreatedAt: null,
      completedAt: null,
      metadata: null,
      errorCode: null,
      error: null,
    };
    const left = { id: publicPrediction, ...same, metadata: null, created_at: null };
    expect(dataOf({ ...event, ...gone })).toMatchObject(left);
  });

  test('is the stored text, if the text is stored', () => {
    expect(eventBody({ ...event, body: '{"stored": 1}' }, undefined)).toBe('{"stored": 1}');
  });

  test('has no error after a success, and no metadata where the caller gave none', () => {
    const end = { type: 'prediction.succeeded', status: 'succeeded', endErrorCode: null, errorCode: null, error: null };
    expect(dataOf({ ...event, ...end, metadata: '' })).toMatchObject({
      status: 'succeeded',
      error: null,
      metadata: null,
    });
  });

  test('exists for each terminal status', () => {
    const statuses: TerminalStatus[] = ['succeeded', 'failed', 'canceled', 'expired'];
    expect(PREDICTION_EVENTS).toEqual(statuses.map((status) => `prediction.${status}`));
  });

  test('of 0.1.0, which does not store its end, uses the end of the prediction while the status is the same', () => {
    const old = { ...event, endedAt: null, endErrorCode: null, error: null };
    expect(dataOf(old)).toMatchObject({
      error: { code: 'inference_timeout' },
      completed_at: '2026-01-01T00:00:01.005Z',
    });
    expect(dataOf({ ...old, status: 'succeeded', errorCode: null })).toMatchObject({
      status: 'failed',
      error: { code: 'internal' },
      completed_at: '2026-01-01T00:00:01.010Z',
    });
  });
});

test('the event of an endpoint has the id and the URL of the endpoint', () => {
  const payload = endpointPayload(
    { id: '0197c7f0-0000-7003-8000-00000000000e', url: 'https://receiver.example/hook' },
    { reason: 'gone' },
  );
  expect(
    JSON.parse(eventBody({ ...event, type: 'webhook_endpoint.disabled', prediction: null, payload }, 'http://a')),
  ).toEqual({
    id: event.id,
    api_version: API_VERSION,
    tenant: 'default',
    type: 'webhook_endpoint.disabled',
    timestamp: '2026-01-01T00:00:01.010Z',
    data: {
      id: 'we_0197c7f000007003800000000000000e',
      endpoint_url: 'https://receiver.example/hook',
      reason: 'gone',
      url: 'http://a/v1/webhook-endpoints/we_0197c7f000007003800000000000000e',
    },
  });
});

test('a URL has the same lane for every query, and another lane for another tenant, path or endpoint', () => {
  const lane = (tenant: string, url: string, endpoint: string | null = null) => laneOf({ tenant, endpoint, url });
  const own = lane('a', 'https://receiver.example/hook?job=1');
  expect(own).toMatch(/^[0-9a-f]{32}$/);
  expect(lane('a', 'https://receiver.example/hook?job=2')).toBe(own);
  expect(lane('b', 'https://receiver.example/hook?job=1')).not.toBe(own);
  expect(lane('a', 'https://receiver.example/other')).not.toBe(own);
  expect(lane('a', 'https://receiver.example/hook', prediction)).toBe(prediction);
});
