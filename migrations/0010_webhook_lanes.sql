-- compatible
-- Deliveries of one lane share their concurrency and wait for each other, those of others never: an endpoint has a lane
-- to itself, and so has an address that predictions named, whatever its query. webhooks/lane.ts computes the same.
CREATE FUNCTION webhook_lane(tenant text, endpoint uuid, url text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN coalesce(endpoint::text, md5(tenant || ' ' || split_part(url, '?', 1)));

-- Attempts before the last redelivery by hand: the schedule begins anew after these.
ALTER TABLE webhook_deliveries ADD COLUMN attempts_before integer NOT NULL DEFAULT 0;
CREATE INDEX webhook_deliveries_lane ON webhook_deliveries (webhook_lane(tenant, endpoint, url), next_at)
  WHERE status = 'pending';

-- In the form of webhook_endpoints.secrets, so that it too can be rotated with an overlap.
ALTER TABLE tenants DROP COLUMN webhook_secret;
ALTER TABLE tenants ADD COLUMN webhook_secrets jsonb NOT NULL DEFAULT '[]';
