-- compatible
-- The card of a version for people: README.md and metrics.json beside the model. No part of the digest: a card may change.
CREATE TABLE model_cards (
  tenant text NOT NULL,
  model text NOT NULL,
  version text NOT NULL,
  -- SHA-256 of the files, so that a worker writes a card only after a change.
  digest text NOT NULL,
  readme text,
  -- The images that README.md names: path to data URI.
  images jsonb NOT NULL,
  figures json,
  PRIMARY KEY (tenant, model, version),
  FOREIGN KEY (tenant, model, version) REFERENCES model_versions ON DELETE CASCADE
);
