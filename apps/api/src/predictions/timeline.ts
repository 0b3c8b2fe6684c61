/** The trace and the timeline of a prediction: from its live state or its row, and from what the ledger has of the time after the end. */

import { isTerminal } from '@millrace/shared/predictions/prediction';
import { NO_FACTS, type Recorded, timelineOf } from '@millrace/shared/predictions/timeline';
import { withTimeout } from '@millrace/shared/process/timeout';
import { traceIdIn } from '@millrace/shared/tracing/trace-context';
import type { Facts, Found, PredictionLookup } from './find-prediction.ts';

/** Finds the record and the deliveries of an end. Undefined while the ledger does not have the end. */
export type RecordedLookup = (tenant: string, id: string) => Promise<Recorded | undefined>;

/** A prediction is also shown while Postgres does not respond. The events after its end are then left out. */
const LEDGER_TIMEOUT_MS = 300;

const UNKNOWN: Facts = { ...NO_FACTS, trace: null };

/** The last members of the JSON of a prediction, as text behind a comma. */
export async function traceMembers(
  { lookup, recordedOf }: { lookup: Pick<PredictionLookup, 'find'>; recordedOf: RecordedLookup },
  tenant: string,
  { record, facts }: Found,
): Promise<string> {
  const { id, status } = record;
  if (!isTerminal(status)) return membersOf(record, facts, undefined);
  const [read, recorded] = await Promise.all([
    facts ?? lookup.find(tenant, id).then((found) => found?.facts),
    withTimeout(LEDGER_TIMEOUT_MS, recordedOf(tenant, id), 'The query for a timeline').catch(() => undefined),
  ]);
  return membersOf(record, read, recorded);
}

function membersOf(record: Found['record'], facts: Facts = UNKNOWN, recorded: Recorded | undefined): string {
  const traceId = facts.trace === null ? undefined : traceIdIn(facts.trace);
  const timeline = JSON.stringify(timelineOf(record, facts, recorded));
  return `"trace_id":${traceId === undefined ? 'null' : `"${traceId}"`},"timeline":${timeline}`;
}
