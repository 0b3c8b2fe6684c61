/** Converts the parameters of `GET /v1/predictions` to filters. */
import { ApiError } from '@millrace/shared/errors';
import { idBoundAt } from '@millrace/shared/predictions/ids';
import { STATUSES, type Status } from '@millrace/shared/predictions/prediction';
import { uuidOf } from '@millrace/shared/predictions/public-ids';
import type { Static } from 'typebox';
import { msOfTime } from '../http/time-parameter.ts';
import type { ListFilters } from './list-predictions.ts';
import type { ListQuery } from './schemas.ts';

/** The prefix of the parameters that filter by metadata: `metadata.order=A-17`. */
const METADATA = 'metadata.';
const HEX_DIGITS = 32;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const FIRST = 0n;
const LAST = 2n ** 128n - 1n;

/** The most ids of a filter. */
const IDS_MAX = 100;

type Filters = Pick<
  Static<typeof ListQuery>,
  'model' | 'version' | 'status' | 'created_after' | 'created_before' | 'id' | 'id_prefix' | 'error' | 'order'
>;

/** The place of the filters in a request: the query, or a member of the body. */
type Place = 'query' | '/filter';

/** Throws `invalid_request`. */
export function filtersOf(query: Filters, place: Place = 'query'): ListFilters {
  const { model, version, error, order = 'desc' } = query;
  const invalid = invalidAt(place);
  const [low, high] = idRange(query, invalid);
  return {
    model,
    version,
    ids: query.id === undefined ? undefined : idsOf(query.id, invalid),
    statuses: statusesOf(query.status, invalid),
    after: low === FIRST ? undefined : idOf(low - 1n),
    before: high === LAST ? undefined : idOf(high + 1n),
    metadata: metadataOf(query),
    error,
    order,
  };
}

type Invalid = (name: string, got: string, expected: string) => ApiError;

function idsOf(text: string, invalid: Invalid): string[] {
  const names = [...new Set(text.split(','))];
  if (names.length > IDS_MAX) throw invalid('id', text, `at most ${IDS_MAX} ids, separated by commas`);
  return names
    .map((name) => {
      const uuid = uuidOf('pred', UUID.test(name) ? name.toLowerCase() : name);
      if (uuid !== undefined) return uuid;
      throw invalid('id', name, 'ids of predictions, which begin with pred_, separated by commas');
    })
    .sort();
}

function statusesOf(text: string | undefined, invalid: Invalid): Status[] | undefined {
  if (text === undefined) return undefined;
  const names = [...new Set(text.split(','))].sort();
  return names.map((name) => {
    const status = STATUSES.find((known) => known === name);
    if (status !== undefined) return status;
    throw invalid('status', text, `one or several of ${STATUSES.join(', ')}, separated by commas`);
  });
}

/** An id begins with the time of its creation, so that times and prefixes are ranges of ids. */
function idRange({ created_after, created_before, id_prefix }: Filters, invalid: Invalid): [bigint, bigint] {
  let [low, high] = [FIRST, LAST];
  if (created_after !== undefined) low = numberOf(idBoundAt(timeOf('created_after', created_after, invalid) + 1));
  if (created_before !== undefined) high = numberOf(idBoundAt(timeOf('created_before', created_before, invalid))) - 1n;
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

function timeOf(name: string, text: string, invalid: Invalid): number {
  const ms = msOfTime(text);
  if (ms !== undefined) return ms;
  throw invalid(name, text, 'a time such as 2026-01-31T12:00:00Z');
}

function metadataOf(query: object): Record<string, string> {
  const wanted = Object.entries(query).filter(([name]) => name.startsWith(METADATA));
  return Object.fromEntries(wanted.map(([name, value]) => [name.slice(METADATA.length), String(value)]));
}

/** Returns the function that makes the error for a filter at this place. */
const invalidAt =
  (place: Place): Invalid =>
  (name, got, expected) => {
    const shown = got.slice(0, 100);
    const fault = { message: 'The value does not fit', expected, got: shown };
    const at = place === 'query' ? { in: 'query' as const, pointer: name } : { pointer: `${place}/${name}` };
    return new ApiError('invalid_request', `Invalid ${at.pointer} '${shown}': expected ${expected}.`, {
      faults: [{ ...at, ...fault }],
    });
  };
