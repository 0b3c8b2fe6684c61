/** The filters of the list: their parameters in the address, and as the API takes them. */

export const STATUSES = ['queued', 'running', 'succeeded', 'failed', 'canceled', 'expired'] as const;

/** Spans of time from now, by the value of `range` in the address. */
export const RANGES: Readonly<Record<string, readonly [word: string, ms: number]>> = {
  '1h': ['last hour', 3_600_000],
  '24h': ['last 24 hours', 86_400_000],
  '7d': ['last 7 days', 604_800_000],
  '30d': ['last 30 days', 2_592_000_000],
};

const ID = /^(pred_)?[0-9a-f][0-9a-f-]{3,35}$/;
const METADATA = /^metadata\.([^=]{1,40})=(.*)$/;
const ERROR = /^[a-z]+(_[a-z]+)*$/;

/** The filter that a text in the search field means. */
export function filterOfText(text: string): { name: string; value: string } | undefined {
  const given = text.trim();
  const metadata = METADATA.exec(given);
  if (metadata) return { name: `metadata.${metadata[1]}`, value: metadata[2] ?? '' };
  if (ID.test(given)) return { name: 'id', value: given };
  if (ERROR.test(given)) return { name: 'error', value: given };
  return undefined;
}

/** The API takes ids with their prefix. */
const idPrefix = (text: string): string => (text.startsWith('pred_') ? text : `pred_${text.replaceAll('-', '')}`);

export function apiQuery(query: URLSearchParams): Record<string, string | undefined> {
  const range = RANGES[query.get('range') ?? ''];
  const id = query.get('id');
  return {
    model: query.get('model') ?? undefined,
    version: query.get('version') ?? undefined,
    status: query.get('status') ?? undefined,
    error: query.get('error') ?? undefined,
    id_prefix: id === null ? undefined : idPrefix(id),
    created_after: query.get('from') ?? (range ? new Date(Date.now() - range[1]).toISOString() : undefined),
    created_before: query.get('to') ?? undefined,
    ...Object.fromEntries(metadataOf(query)),
  };
}

export const metadataOf = (query: URLSearchParams): [string, string][] =>
  [...query].filter(([name]) => name.startsWith('metadata.'));

/** The filters in words: `the model drug-interaction and the status failed`. */
export function describeFilters(query: URLSearchParams): string {
  const parts = [
    query.has('model') ? `the model ${query.get('model')}` : '',
    query.has('version') ? `the version ${query.get('version')}` : '',
    query.has('status') ? `the status ${query.get('status')?.replaceAll(',', ' or ')}` : '',
    query.has('error') ? `the error ${query.get('error')}` : '',
    query.has('id') ? `an id that begins with ${query.get('id')}` : '',
    ...metadataOf(query).map(([name, value]) => `${name} = ${value}`),
    query.has('range') ? `a creation in the ${RANGES[query.get('range') ?? '']?.[0] ?? 'given time'}` : '',
    query.has('from') || query.has('to') ? 'a creation in the given time' : '',
  ].filter((part) => part !== '');
  return parts.length > 1 ? `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}` : (parts[0] ?? '');
}
