/** The input that the reader writes: as the texts of the fields, or as JSON. */
import { setQuery } from '../../core/address.ts';
import type { Version } from '../../core/types.ts';
import { type Field, inputOf, type Values, valuesOf } from './fields.ts';
import type { Recent } from './recent.ts';

/** A longer text has no place in an address. */
const ADDRESS_MAX = 1_500;

export interface Draft {
  values: Values;
  /** The input as JSON, for a form that shows JSON. */
  json: string;
  asJson: boolean;
}

type Converted = { input: unknown; faults?: undefined } | { input?: undefined; faults: Record<string, string> };

export function convert(fields: readonly Field[] | null, { values, json, asJson }: Draft): Converted {
  if (fields !== null && !asJson) return inputOf(fields, values);
  try {
    return { input: JSON.parse(json) };
  } catch {
    return { faults: { '': 'The input is not JSON.' } };
  }
}

export function draftOf(fields: readonly Field[] | null, input: unknown): Draft {
  const values = fields === null ? undefined : valuesOf(fields, input);
  return { values: values ?? {}, json: JSON.stringify(input, null, 2), asJson: values === undefined };
}

interface FirstDraftParams {
  fields: readonly Field[] | null;
  query: URLSearchParams;
  recent: readonly Recent[];
  version: Version;
}

/** The input of the address, or else the last input, or else the example of the model. */
export function firstDraft({ fields, query, recent, version }: FirstDraftParams): Draft {
  const named = fields?.filter(({ name }) => query.has(name)) ?? [];
  if (fields !== null && named.length > 0) {
    const values = Object.fromEntries(named.map(({ name }) => [name, query.get(name) ?? '']));
    return { values, json: JSON.stringify(inputOf(fields, values).input ?? {}, null, 2), asJson: false };
  }
  const given = query.get('input');
  if (given !== null) {
    try {
      return draftOf(fields, JSON.parse(given));
    } catch {
      return { values: {}, json: given, asJson: true };
    }
  }
  const input = recent[0]?.input ?? version.examples[0];
  return input === undefined ? { values: {}, json: '{}', asJson: fields === null } : draftOf(fields, input);
}

/** A shared link shows the same input. */
export function keepInAddress(fields: readonly Field[] | null, { values, json, asJson }: Draft): void {
  const inFields = fields !== null && !asJson;
  const changes = Object.fromEntries(
    (fields ?? []).map(({ name }) => [name, inFields ? (values[name] ?? null) : null]),
  );
  const size = inFields ? Object.values(values).join('').length : json.length;
  if (size > ADDRESS_MAX) return;
  setQuery({ ...changes, input: inFields ? null : json.replaceAll(/\s*\n\s*/g, ' ') }, { replace: true });
}
