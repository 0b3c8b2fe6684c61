-- A set of rows is known by the digest of its content and stored once, whoever has it under whatever name.
CREATE TABLE entity_sets (
  tenant text NOT NULL REFERENCES tenants,
  entity text NOT NULL,
  digest text NOT NULL,
  -- The newest set of an entity is the one that look-ups by name see.
  sequence bigint GENERATED ALWAYS AS IDENTITY,
  created_at bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint,
  PRIMARY KEY (tenant, entity, digest)
);
CREATE INDEX entity_sets_newest ON entity_sets (tenant, entity, sequence);

CREATE TABLE entities (
  digest text NOT NULL,
  position integer NOT NULL,
  key text NOT NULL,
  name text NOT NULL,
  aliases text[] NOT NULL,
  -- Name and aliases, folded as packages/shared/src/fold.ts does: what searches compare.
  terms text[] NOT NULL,
  attributes jsonb NOT NULL,
  -- Little-endian float32.
  vector bytea,
  PRIMARY KEY (digest, position)
);
CREATE UNIQUE INDEX entities_key ON entities (digest, key);
CREATE INDEX entities_terms ON entities USING gin (terms);
