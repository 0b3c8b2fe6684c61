-- A UUIDv7 of a given time: rows with such ids are partitioned by day, as predictions are.
CREATE FUNCTION millrace_uuid7(at_ms bigint) RETURNS uuid LANGUAGE sql VOLATILE AS $$
  SELECT (lpad(to_hex(at_ms), 12, '0') || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid
$$;

CREATE TABLE webhook_endpoints (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant text NOT NULL REFERENCES tenants,
  url text NOT NULL,
  description text NOT NULL DEFAULT '',
  -- Types of events, and models; empty for all.
  events text[] NOT NULL DEFAULT '{}',
  models text[] NOT NULL DEFAULT '{}',
  -- [{"secret": "whsec_...", "until": null | ms}]: all that still sign, the newest first.
  secrets jsonb NOT NULL DEFAULT '[]',
  state text NOT NULL DEFAULT 'enabled' CHECK (state IN ('enabled', 'disabled')),
  -- Why it was disabled.
  reason text,
  failing_since bigint,
  created_at bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint,
  updated_at bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint
);
CREATE INDEX webhook_endpoints_tenant ON webhook_endpoints (tenant);

-- The feed of a tenant. `sequence` has no gaps and is committed in order, because the counter's row stays locked until
-- its writer has committed: whoever has read up to n has missed nothing below n. A plain sequence would not do, since
-- 8 may be committed before 7, and a reader that went on from 8 would never see 7.
CREATE TABLE event_counters (
  tenant text PRIMARY KEY,
  last bigint NOT NULL
) WITH (fillfactor = 50);

-- An event's id is the `webhook-id` of all its deliveries.
CREATE TABLE events (
  id uuid NOT NULL,
  tenant text NOT NULL,
  sequence bigint NOT NULL,
  -- prediction.succeeded, prediction.failed, prediction.canceled, prediction.expired, ...
  type text NOT NULL,
  prediction uuid,
  model text,
  version text,
  -- JSON of the event's data where it is not that of its prediction, such as a test's.
  payload text,
  created_at bigint NOT NULL,
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX events_feed ON events (tenant, sequence);
CREATE TABLE events_default PARTITION OF events DEFAULT;

CREATE TABLE webhook_deliveries (
  id uuid NOT NULL,
  tenant text NOT NULL,
  event uuid NOT NULL,
  -- Null where the prediction named the address itself.
  endpoint uuid,
  url text NOT NULL,
  type text NOT NULL,
  prediction uuid,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed', 'canceled')),
  attempts integer NOT NULL DEFAULT 0,
  -- When the next attempt is due.
  next_at bigint,
  created_at bigint NOT NULL,
  completed_at bigint,
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX webhook_deliveries_tenant ON webhook_deliveries (tenant, id);
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint, id) WHERE endpoint IS NOT NULL;
CREATE INDEX webhook_deliveries_prediction ON webhook_deliveries (prediction);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE status = 'pending';
CREATE TABLE webhook_deliveries_default PARTITION OF webhook_deliveries DEFAULT;

CREATE TABLE webhook_attempts (
  delivery uuid NOT NULL,
  number integer NOT NULL,
  tenant text NOT NULL,
  at bigint NOT NULL,
  latency_ms double precision,
  -- Null when no reply came; `error` then says why.
  status integer,
  error text,
  -- The first bytes of the reply.
  reply text,
  PRIMARY KEY (delivery, number)
) PARTITION BY RANGE (delivery);
CREATE TABLE webhook_attempts_default PARTITION OF webhook_attempts DEFAULT;
