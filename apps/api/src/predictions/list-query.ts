/** Converts the parameters of `GET /v1/predictions` to filters. */
import { ApiError } from '@millrace/shared/errors';
import { idBoundAt } from '@millrace/shared/predictions/ids';
import { STATUSES, type Status } from '@millrace/shared/predictions/prediction';
import type { Static } from 'typebox';
import { msOfTime } from '../http/time-parameter.ts';
import type { ListFilters } from './list-predictions.ts';
import type { ListQuery } from './schemas.ts';

/** The prefix of the parameters that filter by metadata: `metadata.order=A-17`. */
const METADATA = 'metadata.';
const HEX_DIGITS = 32;
const FIRST = 0n;
const LAST = 2n ** 128n - 1n;

/** Throws `invalid_request`. */
export function filtersOf(query: Static<typeof ListQuery>): ListFilters {
  const { model, error, order = 'desc' } = query;
  const [low, high] = idRange(query);
  return {
    model,
    statuses: statusesOf(query.status),
    after: low === FIRST ? undefined : idOf(low - 1n),
    before: high === LAST ? undefined : idOf(high + 1n),
    metadata: metadataOf(query),
    error,
    order,
  };
}

function statusesOf(text: string | undefined): Status[] | undefined {
  if (text === undefined) return undefined;
  const names = [...new Set(text.split(','))].sort();
  return names.map((name) => {
    const status = STATUSES.find((known) => known === name);
    if (status !== undefined) return status;
    throw invalid('status', text, `one or several of ${STATUSES.join(', ')}, separated by commas`);
  });
}

/** An id begins with the time of its creation, so that times and prefixes are ranges of ids. */
function idRange({ created_after, created_before, id_prefix }: Static<typeof ListQuery>): [bigint, bigint] {
  let [low, high] = [FIRST, LAST];
  if (created_after !== undefined) low = numberOf(idBoundAt(timeOf('created_after', created_after) + 1));
  if (created_before !== undefined) high = numberOf(idBoundAt(timeOf('created_before', created_before))) - 1n;
  if (id_prefix === undefined) return [low, high];
  const digits = id_prefix
    .replace(/^pred_/, '')
    .replaceAll('-', '')
    .toLowerCase();
  if (digits.length === 0 || digits.length > HEX_DIGITS || !/^[0-9a-f]+$/.test(digits))
    throw invalid('id_prefix', id_prefix, 'the beginning of an id');
  const first = numberOf(digits.padEnd(HEX_DIGITS, '0'));
  const last = numberOf(digits.padEnd(HEX_DIGITS, 'f'));
  return [first > low ? first : low, last < high ? last : high];
}

const numberOf = (id: string): bigint => BigInt(`0x${id.replaceAll('-', '')}`);

function idOf(number: bigint): string {
  const hex = (number < FIRST ? FIRST : number).toString(16).padStart(HEX_DIGITS, '0');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

function timeOf(name: string, text: string): number {
  const ms = msOfTime(text);
  if (ms !== undefined) return ms;
  throw invalid(name, text, 'a time such as 2026-01-31T12:00:00Z');
}

function metadataOf(query: object): Record<string, string> {
  const wanted = Object.entries(query).filter(([name]) => name.startsWith(METADATA));
  return Object.fromEntries(wanted.map(([name, value]) => [name.slice(METADATA.length), String(value)]));
}

function invalid(pointer: string, got: string, expected: string): ApiError {
  const shown = got.slice(0, 100);
  return new ApiError('invalid_request', `Invalid ${pointer} '${shown}': expected ${expected}.`, {
    faults: [{ in: 'query', pointer, message: 'The value does not fit', expected, got: shown }],
  });
}
