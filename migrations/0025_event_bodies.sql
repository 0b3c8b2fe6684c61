-- compatible
-- The bytes of an event, as webhooks send them and the feed lists them: written together with the event, and never changed. Events of
-- older processes have no body. Their JSON is made from the prediction.
ALTER TABLE events ADD COLUMN body text;

-- A time (Unix ms) as JSON, such as "2026-01-31T12:00:00.000Z"; null without a time.
CREATE FUNCTION millrace_json_time(ms bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce('"' || to_char(to_timestamp(ms / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
    || '.' || lpad((ms % 1000)::text, 3, '0') || 'Z"', 'null')
$$;

-- The body of an event. `data` is the JSON of the event's data.
CREATE FUNCTION millrace_event_body(event uuid, type text, at bigint, api_version text, tenant text, data text) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT '{"id":"' || event || '","type":"' || type || '","timestamp":' || millrace_json_time(at) || ',"api_version":"' || api_version
    || '","tenant":' || to_json(tenant) || ',"data":' || data || '}'
$$;
