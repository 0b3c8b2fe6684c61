-- Deletes states whose end in the ledger differs, so that Redis and the ledger show the same end. A state that has changed since
-- stays.
-- KEYS: live states. ARGV: tag, then the time of the end of each state (13 digits).
local tag = ARGV[1]
for n = 1, #KEYS do
  local one = load(KEYS[n])
  if one and terminal(one.s) and not one.c and one.cm == ARGV[n + 1] then
    release_flight(tag, one.f, id_of(tag, KEYS[n]), 0)
    redis.call('DEL', KEYS[n])
  end
end
