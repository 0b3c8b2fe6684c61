-- compatible
-- Counts and durations of predictions by minute and by hour. A row is a step of a series: a tenant and a model, where '*' stands
-- for all tenants or all models (no tenant and no model has this name). Processes of older versions write no rows, and their
-- predictions are missing here.
--
-- `wait`, `run` and `total` count durations in buckets: bucket 1 has durations below 1 ms, and each further bucket ends at
-- 2^(1/4) times the end of the bucket before it (stats/histogram.ts).
CREATE TABLE prediction_stats (
  tenant text NOT NULL,
  model text NOT NULL,
  -- 60 or 3600.
  span_s integer NOT NULL,
  start_at bigint NOT NULL,
  accepted bigint NOT NULL,
  succeeded bigint NOT NULL,
  failed bigint NOT NULL,
  canceled bigint NOT NULL,
  expired bigint NOT NULL,
  hits bigint NOT NULL,
  misses bigint NOT NULL,
  refused bigint NOT NULL,
  -- The last values of the step; null where nobody looked. Only in the rows of all tenants.
  waiting bigint,
  oldest_waiting_ms bigint,
  wait integer[] NOT NULL,
  run integer[] NOT NULL,
  total integer[] NOT NULL,
  PRIMARY KEY (tenant, model, span_s, start_at)
) WITH (fillfactor = 50);
-- For retention.
CREATE INDEX prediction_stats_age ON prediction_stats (start_at);

-- The number of the last write of each process. A write that is repeated, because its reply was lost, counts nothing twice.
CREATE TABLE stats_writers (
  writer text PRIMARY KEY,
  last_write bigint NOT NULL,
  written_at bigint NOT NULL
);

-- Adds the counts of two lists of buckets. A count stays below the limit of an integer.
CREATE FUNCTION millrace_add_buckets(a integer[], b integer[]) RETURNS integer[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  result integer[] := CASE WHEN cardinality(a) >= cardinality(b) THEN a ELSE b END;
  shorter integer[] := CASE WHEN cardinality(a) >= cardinality(b) THEN b ELSE a END;
BEGIN
  FOR n IN 1..cardinality(shorter) LOOP
    IF shorter[n] > 0 THEN result[n] := least(result[n]::bigint + shorter[n], 2147483647)::integer; END IF;
  END LOOP;
  RETURN result;
END $$;

CREATE AGGREGATE millrace_sum_buckets(integer[]) (
  SFUNC = millrace_add_buckets, STYPE = integer[], INITCOND = '{}', PARALLEL = SAFE, COMBINEFUNC = millrace_add_buckets
);

-- The duration in ms below which the share `q` of all durations lies; null without durations.
CREATE FUNCTION millrace_quantile(buckets integer[], q double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  target double precision;
  below bigint := 0;
BEGIN
  target := q * coalesce((SELECT sum(n) FROM unnest(buckets) AS u (n)), 0);
  IF target = 0 THEN RETURN NULL; END IF;
  FOR n IN 1..cardinality(buckets) LOOP
    IF below + buckets[n] >= target AND buckets[n] > 0 THEN
      IF n = 1 THEN RETURN (target - below) / buckets[n]; END IF;
      RETURN power(2, (n - 2 + (target - below) / buckets[n]) / 4);
    END IF;
    below := below + buckets[n];
  END LOOP;
  RETURN NULL;
END $$;
