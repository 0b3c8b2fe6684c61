-- compatible
-- What the JSON of a prediction shows of its request: the number of rows, whether the request has `inputs`, and how the
-- prediction used the cache. Null in rows of 0.1.0, whose processes name their columns and continue to work.
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

ALTER TABLE predictions ADD COLUMN row_count integer, ADD COLUMN is_list boolean, ADD COLUMN cache_use text;
