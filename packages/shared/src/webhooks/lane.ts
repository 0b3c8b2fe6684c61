/** Lanes: whose deliveries share their concurrency and wait for each other. */
import { createHash } from 'node:crypto';

/** Where a delivery goes: an endpoint, or (null) an address that the prediction named. */
export interface Destination {
  tenant: string;
  endpoint: string | null;
  url: string;
}

/** The lane of a delivery, as the database's `webhook_lane` has it: lower-case hex and '-', as BullMQ's job ids allow. */
export function laneOf({ tenant, endpoint, url }: Destination): string {
  if (endpoint !== null) return endpoint;
  const bare = url.split('?', 1)[0] as string;
  return createHash('md5').update(`${tenant} ${bare}`).digest('hex');
}
