-- Puts the text of a task in place of its name in the ledger: see predictions/ledger-task.ts. The job, the status and the attempts stay.
-- KEYS: live state. ARGV: name, text.
-- Returns 1, or 0 for a state with another task.
local one = load(KEYS[1])
if not one or one.cut or one.i ~= ARGV[1] then return 0 end
one.i = ARGV[2]
redis.call('SET', KEYS[1], pack(one), 'KEEPTTL')
return 1
