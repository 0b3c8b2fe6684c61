-- compatible
-- The responses to requests with an Idempotency-Key that create no prediction. Older processes ignore the key of these requests.
-- `claim` belongs to the request in progress: only this request writes the response. `resource` is the id of whatever the request
-- creates, so that a request that is executed again creates nothing twice. `status` is null until the response is known.
CREATE TABLE idempotent_requests (
  tenant text NOT NULL,
  key_hash text NOT NULL,
  fingerprint text NOT NULL,
  claim uuid NOT NULL,
  resource uuid NOT NULL,
  created_at timestamptz NOT NULL,
  claimed_until timestamptz NOT NULL,
  status int,
  headers text,
  body text,
  PRIMARY KEY (tenant, key_hash)
);
CREATE INDEX idempotent_requests_created ON idempotent_requests (created_at);
