-- compatible
-- A sign-in to the console exchanges an API key for a session. A session ends with its key.
CREATE TABLE console_sessions (
  -- SHA-256 of the token in the cookie. The token itself is not stored.
  hash bytea PRIMARY KEY,
  key_id uuid NOT NULL REFERENCES api_keys ON DELETE CASCADE,
  created_at bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint,
  expires_at bigint NOT NULL
);
CREATE INDEX console_sessions_key ON console_sessions (key_id, created_at);
CREATE INDEX console_sessions_end ON console_sessions (expires_at);
