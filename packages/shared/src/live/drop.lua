-- The ledger has another end in place of these: Redis forgets them, so that a poll says what the list says.
-- KEYS: live state of each. ARGV: tag, then for each when its end was (13 digits). What has changed since stays.
local tag = ARGV[1]
for n = 1, #KEYS do
  local one = load(KEYS[n])
  if one and terminal(one.s) and not one.c and one.cm == ARGV[n + 1] then
    release_flight(tag, one.f, id_of(tag, KEYS[n]), 0)
    redis.call('DEL', KEYS[n])
  end
end
