CREATE TABLE models (
  tenant text NOT NULL REFERENCES tenants,
  model text NOT NULL,
  -- Raised by a purge; part of the name of every cached result.
  cache_epoch bigint NOT NULL DEFAULT 0,
  created_at bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint,
  PRIMARY KEY (tenant, model)
);

-- A version never changes what it answers: its digest stays. Its state does, and settings that are in no answer.
CREATE TABLE model_versions (
  tenant text NOT NULL,
  model text NOT NULL,
  version text NOT NULL,
  digest text NOT NULL,
  state text NOT NULL CHECK (state IN ('loading', 'ready', 'failed', 'draining', 'retired')),
  reason text,
  signature jsonb NOT NULL,
  config jsonb NOT NULL,
  handler_digest text,
  -- json and not jsonb: jsonb sorts keys by length, and the order of properties is what a reader of OpenAPI sees.
  input_schema json,
  output_schema json,
  entity_sets jsonb NOT NULL DEFAULT '{}',
  created_at bigint NOT NULL,
  PRIMARY KEY (tenant, model, version),
  FOREIGN KEY (tenant, model) REFERENCES models
);

CREATE TABLE model_aliases (
  tenant text NOT NULL,
  model text NOT NULL,
  alias text NOT NULL,
  version text NOT NULL,
  PRIMARY KEY (tenant, model, alias),
  FOREIGN KEY (tenant, model, version) REFERENCES model_versions
);
