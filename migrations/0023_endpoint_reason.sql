-- compatible
-- The reason of a disabled endpoint as a code, beside the sentence in `reason`. Older processes write the sentence only.
ALTER TABLE webhook_endpoints ADD COLUMN reason_code text;
CREATE INDEX webhook_endpoints_created ON webhook_endpoints (tenant, created_at, id);
