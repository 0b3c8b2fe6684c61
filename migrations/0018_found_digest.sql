-- compatible
-- The digest of other content that a worker found in its models folder under the name of a registered version; null where no
-- worker did. The version cannot be run from that folder, and every process names the difference.
ALTER TABLE model_versions ADD COLUMN found_digest text;
