-- compatible
-- Up to which time the ledger was past retention in each of the last hourly passes. What may be dropped is what all of them
-- agree on: a clock that jumps ahead drops nothing for a day.
CREATE TABLE retention_passes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Unix ms.
  bound bigint NOT NULL
);
