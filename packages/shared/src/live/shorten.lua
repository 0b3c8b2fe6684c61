-- The ledger has these: they are kept a short while only. Not what was opened again since, nor what is computed for others.
-- KEYS: live state of each. ARGV: tag, ttl, then ids.
local tag, ttl = ARGV[1], ARGV[2]
for n = 1, #KEYS do
  local s, c = unpack(redis.call('HMGET', KEYS[n], 's', 'c'))
  if s and terminal(s) and not c then
    redis.call('PEXPIRE', KEYS[n], ttl)
    if s ~= 'succeeded' then redis.call('PEXPIRE', tag .. 'i:' .. ARGV[2 + n], ttl) end
  end
end
