/** Delivery lanes. Deliveries of one lane share a concurrency limit and wait for each other. */
import { createHash } from 'node:crypto';

/** The destination of a delivery. `endpoint` is null for a URL that the prediction named. */
export interface Destination {
  tenant: string;
  endpoint: string | null;
  url: string;
}

/** The lane of a delivery, equal to `webhook_lane` of the database: lower-case hex and '-', which BullMQ allows in job ids. */
export function laneOf({ tenant, endpoint, url }: Destination): string {
  if (endpoint !== null) return endpoint;
  const [bare = ''] = url.split('?', 1);
  return createHash('md5').update(`${tenant} ${bare}`).digest('hex');
}
