-- The ledger has these ends: they are kept a short while only. Not what was opened again since, whatever became of it, nor
-- what is computed for others.
-- KEYS: live state of each. ARGV: ttl, then for each when the end was that the ledger has (13 digits).
for n = 1, #KEYS do
  local head = redis.pcall('GETRANGE', KEYS[n], 0, HEAD - 1)
  if type(head) == 'string' and head ~= '' and terminal(sub(head, 11, 11)) and sub(head, 14, 14) == '0' and sub(head, 69, 81) == ARGV[n + 1] then
    redis.call('PEXPIRE', KEYS[n], ARGV[1])
  end
end
