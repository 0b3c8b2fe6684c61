import { describe, expect, test } from 'vitest';
import { endpointPayload, predictionEventId, predictionPayload, type TerminalFacts } from './event.ts';

const facts: TerminalFacts = {
  id: '0197c7f0-0000-7003-8000-000000000000',
  model: 'drug-interaction',
  version: '1',
  status: 'failed',
  attempt: 1,
  createdAt: Date.UTC(2026, 0, 1),
  completedAt: Date.UTC(2026, 0, 1, 0, 0, 1, 5),
  metadata: '{"order":17}',
  errorCode: 'inference_timeout',
};

describe('the event of a prediction', () => {
  test('says what happened, and where the prediction is', () => {
    expect(JSON.parse(predictionPayload(facts, 'https://api.example.com/'))).toEqual({
      type: 'prediction.failed',
      timestamp: '2026-01-01T00:00:01.005Z',
      data: {
        id: facts.id,
        model: 'drug-interaction',
        version: '1',
        status: 'failed',
        attempt: 1,
        error: { code: 'inference_timeout' },
        created_at: '2026-01-01T00:00:00.000Z',
        completed_at: '2026-01-01T00:00:01.005Z',
        metadata: { order: 17 },
        url: `https://api.example.com/v1/predictions/${facts.id}`,
      },
    });
  });

  test('has a path where nobody said how clients reach the API', () => {
    expect(JSON.parse(predictionPayload(facts, undefined)).data.url).toBe(`/v1/predictions/${facts.id}`);
  });

  test('has one id however often it is recorded, and another after a retry', () => {
    expect(predictionEventId(facts)).toMatch(/^evt_[A-Za-z0-9_-]{27}$/);
    expect(predictionEventId({ ...facts })).toBe(predictionEventId(facts));
    expect(predictionEventId({ ...facts, attempt: 2 })).not.toBe(predictionEventId(facts));
  });
});

test('the event of an endpoint names it', () => {
  const endpoint = { id: 'we_1', url: 'https://receiver.example/hook' };
  expect(JSON.parse(endpointPayload('webhook_endpoint.test', endpoint, 0, undefined))).toEqual({
    type: 'webhook_endpoint.test',
    timestamp: '1970-01-01T00:00:00.000Z',
    data: { id: 'we_1', endpoint_url: 'https://receiver.example/hook', url: '/v1/webhook-endpoints/we_1' },
  });
});
