-- compatible
-- What the timeline of a prediction shows: the worker of the last attempt, the times at which the prediction entered the queue
-- and a run, the time of this record, and the earlier attempts as [[attempt, worker, time], ...]. Null in rows of earlier
-- versions, whose processes name their columns and continue to work.
--
-- The table is locked for an instant, and nobody waits long for the lock: a statement that holds the table makes the attempt
-- end after a second and let the others pass.
DO $$ BEGIN
  FOR attempt IN 1..60 LOOP
    BEGIN
      SET LOCAL lock_timeout = '1s';
      LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE;
      EXIT;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      IF attempt = 60 THEN RAISE; END IF;
      PERFORM pg_sleep(0.25);
    END;
  END LOOP;
END $$;

ALTER TABLE predictions ADD COLUMN worker_id text, ADD COLUMN queued_at bigint, ADD COLUMN batched_at bigint,
  ADD COLUMN recorded_at bigint, ADD COLUMN earlier_attempts text;
