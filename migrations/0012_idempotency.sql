-- compatible
-- What an Idempotency-Key stood for, when Redis has lost it. The first 32 characters name the key; what may follow is the
-- fingerprint of the request (idempotency.ts). Only rows that have a key are in it. While it is built on a ledger that is
-- large already, nothing can be promised: some seconds for each ten million rows.
CREATE INDEX predictions_by_idempotency ON predictions (tenant, left(idempotency_hash, 32), id)
  WHERE idempotency_hash IS NOT NULL;
