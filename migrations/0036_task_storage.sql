-- compatible
-- Long tasks are stored without compression. Postgres tried to compress each task of 2 KB or more, and a tensor in base64 hardly becomes shorter.
-- For a task of 800 KB the attempt took two thirds of the processor time of the insert. A task is deleted when its prediction succeeds. Tasks that
-- were stored before stay compressed.
--
-- The table is locked for an instant, and nobody waits long for the lock: see 0026_timeline.sql.
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

ALTER TABLE predictions ALTER COLUMN task SET STORAGE EXTERNAL;
