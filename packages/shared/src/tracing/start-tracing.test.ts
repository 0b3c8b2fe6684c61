import { expect, test } from 'vitest';
import { type Env, protocolOf, rootShareOf, wantsTraces } from './settings.ts';
import { startTracing } from './start-tracing.ts';

test.each<[boolean, Env]>([
  [false, {}],
  [false, { OTEL_SERVICE_NAME: 'mine', OTEL_TRACES_SAMPLER: 'always_on' }],
  [false, { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
  [true, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }],
  [true, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces' }],
  [true, { OTEL_TRACES_EXPORTER: 'otlp' }],
  [false, { OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }],
  [false, { OTEL_SDK_DISABLED: 'TRUE', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }],
])('traces are wanted: %s with %o', (wanted, env) => {
  expect(wantsTraces(env)).toBe(wanted);
});

test('another exporter, and a protocol without HTTP, are refused with the expected values', () => {
  expect(() => wantsTraces({ OTEL_TRACES_EXPORTER: 'zipkin' })).toThrow(/'zipkin': expected otlp or none/);
  expect(protocolOf({})).toBe('http/protobuf');
  expect(protocolOf({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' })).toBe('http/json');
  const both = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' };
  expect(protocolOf(both)).toBe('http/json');
  expect(() => protocolOf({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })).toThrow(
    /'grpc': expected http\/protobuf or http\/json.*4318/,
  );
});

test.each<[number | undefined, Env]>([
  [undefined, {}],
  [undefined, { OTEL_TRACES_SAMPLER: 'parentbased_always_on' }],
  [0.01, { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.01' }],
  [1, { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '1' }],
  [undefined, { OTEL_TRACES_SAMPLER: 'traceidratio' }],
  [undefined, { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }],
  [0, { OTEL_TRACES_SAMPLER: 'parentbased_always_off' }],
])('the share of recorded traces that begin here is %s with %o', (share, env) => {
  expect(rootShareOf(env)).toBe(share);
});

test('without a setting nothing is started', async () => {
  const log = { warn: () => {} };
  expect(await startTracing({ service: 'test', version: '1', log, env: {} })).toBeUndefined();
});
