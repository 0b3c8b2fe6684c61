/** The options of a live state, from the columns of a ledger row. */
import { optionsOfFacts, optionsText } from '../predictions/request-options.ts';
import type { EarlierAttempt, TimelineFacts } from '../predictions/timeline.ts';
import type { PromiseRow } from './ledger-rows.ts';

/** The options of a live state from the row of its prediction: JSON text, or '' without options. */
export function optionsTextOfRow(
  row: Pick<PromiseRow, 'options' | 'idempotencyHash' | 'rows' | 'list' | 'cache'> &
    Pick<TimelineFacts, 'earlierAttempts'>,
): string {
  const { options, idempotencyHash, earlierAttempts } = row;
  return optionsText({
    ...(options ?? {}),
    ...(idempotencyHash ? { idempotency: idempotencyHash } : {}),
    ...optionsOfFacts(row),
    ...(earlierAttempts ? { past: JSON.parse(earlierAttempts) as EarlierAttempt[] } : {}),
  });
}
