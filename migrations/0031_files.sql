-- compatible
-- Files of callers. The bytes of a file are an object of the file store (FILES_URL).
CREATE TABLE files (
  -- A hash of the tenant and the content: a tenant has each content once.
  id uuid PRIMARY KEY,
  tenant text NOT NULL,
  sha256 bytea NOT NULL,
  bytes bigint NOT NULL,
  media_type text NOT NULL,
  filename text,
  object text NOT NULL UNIQUE,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL
);
CREATE INDEX files_list ON files (tenant, created_at, id) INCLUDE (bytes);
CREATE INDEX files_end ON files (expires_at);

-- Objects that no file has: uploads in progress, and objects to delete. A worker deletes an object after its time.
CREATE TABLE file_objects (
  object text PRIMARY KEY,
  -- Whether the upload of the object may be unfinished, so that parts of the object may exist.
  unfinished boolean NOT NULL,
  delete_after bigint NOT NULL
);
CREATE INDEX file_objects_end ON file_objects (delete_after);
