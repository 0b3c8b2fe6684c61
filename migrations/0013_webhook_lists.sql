-- compatible
-- What did not arrive, newest first: among millions that did, a list of the few that failed took longer than a caller waits.
CREATE INDEX webhook_deliveries_undelivered ON webhook_deliveries (tenant, id) WHERE status <> 'delivered';
