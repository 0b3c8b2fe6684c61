-- compatible
-- The output of an open prediction, which a worker writes before the prediction ends: see ledger/staged-outputs.ts. The statement that
-- records the end moves the output to `result`. The opening and the attempt name the run that computed the output. The output has its
-- own column, because processes of an earlier version show `result` of an open prediction as its error.
ALTER TABLE predictions ADD COLUMN staged_output text, ADD COLUMN staged_opening integer, ADD COLUMN staged_attempt integer;
