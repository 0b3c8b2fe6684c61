/**
 * The W3C trace context of a prediction as text: the `traceparent`, and behind a space the `tracestate` if there is one. The live
 * state and the ledger have this text, and a webhook passes it on.
 */

/** A `traceparent` of version 00, or of a later version with further parts. Version ff is invalid, and so are ids of zeros. */
const TRACEPARENT =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-[\x21-\x7e]*)?$/;
/** Longer values are left out: the live state of each prediction with a trace has the text. */
const STATE_CHARACTERS = 512;
const PARENT_CHARACTERS = 128;
const STATE = /^[\x20-\x7e]+$/;

export interface TraceParent {
  traceId: string;
  spanId: string;
  sampled: boolean;
}

/** Undefined for text that is not a valid `traceparent`. */
export function parseTraceParent(text: string): TraceParent | undefined {
  const match = text.length <= PARENT_CHARACTERS ? TRACEPARENT.exec(text) : null;
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = ''] = match;
  // Version 00 has exactly four parts.
  if (version === '00' && text.length !== 55) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** The text of a trace context. A `tracestate` that is too long or not ASCII is left out. */
export function traceText({ traceId, spanId, sampled }: TraceParent, state: string | undefined): string {
  const parent = `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
  return state !== undefined && state.length <= STATE_CHARACTERS && STATE.test(state) ? `${parent} ${state}` : parent;
}

/** The parts of the text. Undefined for damaged text. */
export function readTrace(text: string): (TraceParent & { state: string | undefined }) | undefined {
  const space = text.indexOf(' ');
  const parent = parseTraceParent(space === -1 ? text : text.slice(0, space));
  return parent && { ...parent, state: space === -1 ? undefined : text.slice(space + 1) };
}

export const isSampled = (text: string): boolean => readTrace(text)?.sampled === true;

/** The id of the trace in the stored options of a prediction; undefined without a trace. */
export function traceIdOf(options: object | null): string | undefined {
  return options !== null && 'trace' in options ? traceIdIn(String(options.trace)) : undefined;
}

export const traceIdIn = (text: string): string | undefined => readTrace(text)?.traceId;
