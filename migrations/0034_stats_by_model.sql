-- compatible
-- The history of all models over a range. The primary key has the model before the time. No column of the index ever changes, so the
-- updates of the counts stay as cheap as before.
CREATE INDEX prediction_stats_range ON prediction_stats (tenant, span_s, start_at);

-- Counts of each day of UTC, by tenant and model: the sums of the steps of an hour, which a worker adds up after the end of the day. A list of
-- all models over a month would otherwise read a row for each hour and model.
CREATE TABLE prediction_days (
  tenant text NOT NULL,
  model text NOT NULL,
  start_at bigint NOT NULL,
  accepted bigint NOT NULL,
  succeeded bigint NOT NULL,
  failed bigint NOT NULL,
  canceled bigint NOT NULL,
  expired bigint NOT NULL,
  hits bigint NOT NULL,
  misses bigint NOT NULL,
  refused bigint NOT NULL,
  PRIMARY KEY (tenant, start_at, model)
);
CREATE INDEX prediction_days_age ON prediction_days (start_at);
