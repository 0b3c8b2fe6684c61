-- The ledger. Ids are UUIDv7, so a range of ids is a range of time: the primary key is the id alone, a day is a
-- partition, and retention drops whole partitions (docs/decisions/0002-ledger-partitioned-by-uuidv7.md).
CREATE TABLE predictions (
  id uuid NOT NULL,
  tenant text NOT NULL,
  model text NOT NULL,
  version text NOT NULL,
  digest text NOT NULL,
  status text NOT NULL,
  priority text NOT NULL,
  -- JSON of a Task; null once it has succeeded, since only the others can be run again.
  task text,
  -- What the recorder must know of the request: {"webhook": {"url", "events"}}.
  options jsonb,
  metadata text NOT NULL,
  result text NOT NULL,
  created_at bigint NOT NULL,
  started_at bigint,
  completed_at bigint,
  expires_at bigint,
  attempts integer NOT NULL,
  inference_ms double precision,
  batch_size integer,
  promised boolean NOT NULL,
  idempotency_hash text,
  -- When the terminal state ended that a retry undid: a late copy of that state is told from a new one by it.
  superseded_at bigint,
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);

-- Every index is paid for by every row, so these are all. The last two hold next to nothing: most rows are succeeded.
CREATE INDEX predictions_by_model ON predictions (tenant, model, id);
CREATE INDEX predictions_open ON predictions (id) WHERE status IN ('queued', 'running');
CREATE INDEX predictions_unsuccessful ON predictions (tenant, id) WHERE status IN ('failed', 'canceled', 'expired');

-- A row that has no day of its own (a clock far off, a recorder that was down for days) is kept all the same.
CREATE TABLE predictions_default PARTITION OF predictions DEFAULT;
