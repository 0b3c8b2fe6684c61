/** The filters of deliveries in the address, and as the API takes them. */

export const STATUSES = ['pending', 'delivered', 'failed', 'canceled'] as const;

/** Spans of time from now, by the value of `range` in the address. */
export const RANGES: Readonly<Record<string, readonly [word: string, ms: number]>> = {
  '1h': ['last hour', 3_600_000],
  '24h': ['last 24 hours', 86_400_000],
  '7d': ['last 7 days', 604_800_000],
  '30d': ['last 30 days', 2_592_000_000],
};

export interface DeliveryFilter {
  endpoint_id?: string | undefined;
  prediction_id?: string | undefined;
  status?: string | undefined;
  created_after?: string | undefined;
  created_before?: string | undefined;
}

export function deliveryFilter(query: URLSearchParams): DeliveryFilter {
  const range = RANGES[query.get('range') ?? ''];
  return {
    endpoint_id: query.get('endpoint') ?? undefined,
    prediction_id: query.get('prediction') ?? undefined,
    status: query.get('status') ?? undefined,
    created_after: query.get('from') ?? (range ? new Date(Date.now() - range[1]).toISOString() : undefined),
    created_before: query.get('to') ?? undefined,
  };
}

const DELIVERY = /^whd_[0-9a-f]{32}$/;
const PREDICTION = /^(pred_[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The filter that a text in the search field means. */
export function filterOfText(text: string): { name: 'delivery' | 'prediction'; value: string } | undefined {
  const given = text.trim();
  if (DELIVERY.test(given)) return { name: 'delivery', value: given };
  if (PREDICTION.test(given))
    return { name: 'prediction', value: given.startsWith('pred_') ? given : `pred_${given.replaceAll('-', '')}` };
  return undefined;
}

/** The value of a field for a date and a time, in the reader's zone. */
export function localTime(at: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}
