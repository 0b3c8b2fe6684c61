-- compatible
-- A tenant has a name. 0.1.0 let requests without an API key act as a tenant ''. Rows that it left stay where they are, and
-- no key leads to them; NOT VALID refuses new ones without a look at the old.
ALTER TABLE tenants ADD CONSTRAINT tenants_named CHECK (tenant <> '') NOT VALID;
