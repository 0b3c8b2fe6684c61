-- compatible
-- Redeliveries by hand. What an attempt of an earlier round says, if it ends after the next was asked for, no longer
-- decides what becomes of the delivery.
ALTER TABLE webhook_deliveries ADD COLUMN round integer NOT NULL DEFAULT 0;
