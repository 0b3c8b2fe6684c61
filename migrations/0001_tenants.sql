-- Times are Unix milliseconds (bigint) in every table: they travel as such, and no client need parse a date.

CREATE TABLE tenants (
  tenant text PRIMARY KEY,
  -- Signs the deliveries to addresses that a prediction names itself; registered endpoints have secrets of their own.
  webhook_secret text,
  created_at bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint
);

INSERT INTO tenants (tenant) VALUES ('default');

CREATE TABLE api_keys (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant text NOT NULL REFERENCES tenants,
  -- SHA-256 of the key, which itself is kept nowhere.
  hash bytea NOT NULL UNIQUE,
  -- The first characters of the key, to tell one from another in a list.
  prefix text NOT NULL DEFAULT '',
  name text NOT NULL DEFAULT '',
  created_at bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint,
  expires_at bigint,
  revoked_at bigint
);
CREATE INDEX api_keys_tenant ON api_keys (tenant);
