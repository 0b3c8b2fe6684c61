/** The constants of events, which the ledger writes, and webhooks and the feed read. */

/** The version of the HTTP contract: the date of its last breaking change (docs/api-conventions.md). Each event has the version. */
export const API_VERSION = '2026-12-01';

/** The largest error that an event has, in bytes. The error of many rows is larger: the prediction has the whole error. */
export const EVENT_ERROR_BYTES = 8_192;
