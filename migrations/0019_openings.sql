-- compatible
-- The number of each opening of a prediction: 0, and one more for each retry. An end names the opening that it ends, so that the
-- ledger takes one end for each opening, in their order, however late a recorder writes. Columns with a constant default
-- change no row. Processes of 0.1.0 name their columns, and go on as they are.
--
-- The tables are locked for an instant, and nobody waits long for them: a statement that holds one makes the attempt end after
-- a second and let the others pass.
DO $$ BEGIN
  FOR attempt IN 1..60 LOOP
    BEGIN
      SET LOCAL lock_timeout = '1s';
      LOCK TABLE predictions, events IN ACCESS EXCLUSIVE MODE;
      EXIT;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      IF attempt = 60 THEN RAISE; END IF;
      PERFORM pg_sleep(0.25);
    END;
  END LOOP;
END $$;

-- `allowance_ms` is how long the first request gave the prediction; null until the first retry, and where there is no deadline.
ALTER TABLE predictions ADD COLUMN opening integer NOT NULL DEFAULT 0, ADD COLUMN allowance_ms bigint;

-- What an event tells of its end, since the prediction may be opened again. Null in events of 0.1.0.
ALTER TABLE events ADD COLUMN opening integer NOT NULL DEFAULT 0, ADD COLUMN completed_at bigint, ADD COLUMN error_code text;
