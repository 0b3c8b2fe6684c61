import { describe, expect, test } from 'vitest';
import { parseTraceParent, readTrace, traceText } from './trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const parent = (text: string) => parseTraceParent(text);

describe('a traceparent', () => {
  test('has the ids, and the decision whether the trace is recorded', () => {
    expect(parent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, sampled: true });
    expect(parent(`00-${TRACE}-${SPAN}-00`)?.sampled).toBe(false);
    expect(parent(`00-${TRACE}-${SPAN}-03`)?.sampled).toBe(true);
  });

  test('of a later version may have further parts', () => {
    expect(parent(`cc-${TRACE}-${SPAN}-01-more`)?.traceId).toBe(TRACE);
    expect(parent(`cc-${TRACE}-${SPAN}-01`)?.traceId).toBe(TRACE);
  });

  test.each([
    ['is empty', ''],
    ['has another length', `00-${TRACE}-${SPAN}-1`],
    ['has version ff', `ff-${TRACE}-${SPAN}-01`],
    ['has a further part in version 00', `00-${TRACE}-${SPAN}-01-more`],
    ['has a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['has a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['has capital letters', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['has a line break', `cc-${TRACE}-${SPAN}-01-a\r\nb`],
    ['is very long', `cc-${TRACE}-${SPAN}-01-${'x'.repeat(10_000)}`],
  ])('that %s is not used', (_, text) => {
    expect(parent(text)).toBeUndefined();
  });
});

describe('the text of a context', () => {
  const ids = { traceId: TRACE, spanId: SPAN, sampled: true };

  test('has the tracestate behind the traceparent', () => {
    const text = traceText(ids, 'a=1,b=two words');
    expect(readTrace(text)).toEqual({ ...ids, state: 'a=1,b=two words' });
    expect(readTrace(traceText(ids, undefined))).toEqual({ ...ids, state: undefined });
  });

  test.each([
    ['long', `a=${'x'.repeat(600)}`],
    ['empty', ''],
    ['not ASCII', 'a=ü'],
    ['of two lines', 'a=1\r\nset-cookie: b'],
  ])('has no tracestate that is %s', (_, state) => {
    expect(traceText(ids, state)).toBe(`00-${TRACE}-${SPAN}-01`);
  });

  test('that is damaged is no context', () => {
    for (const text of ['', 'x', ` 00-${TRACE}-${SPAN}-01`]) expect(readTrace(text)).toBeUndefined();
  });
});
