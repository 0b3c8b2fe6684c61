-- The ledger has these: they are kept a short while only. Not what was opened again since, nor what is computed for others.
-- KEYS: live state of each. ARGV: ttl.
for n = 1, #KEYS do
  local flags = redis.call('GETRANGE', KEYS[n], 10, 13)
  if flags ~= '' and terminal(sub(flags, 1, 1)) and sub(flags, 4, 4) == '0' then redis.call('PEXPIRE', KEYS[n], ARGV[1]) end
end
