import type { PromiseRow } from './ledger-rows.ts';

/** The options of a live state from the row of its prediction: JSON text, or '' without options. */
export function optionsText({ options, idempotencyHash }: Pick<PromiseRow, 'options' | 'idempotencyHash'>): string {
  const all = { ...(options ?? {}), ...(idempotencyHash ? { idempotency: idempotencyHash } : {}) };
  return Object.keys(all).length > 0 ? JSON.stringify(all) : '';
}
