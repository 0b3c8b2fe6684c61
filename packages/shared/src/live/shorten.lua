-- Shortens the lifetime of recorded ends. A state that was opened again since keeps its lifetime, and so does a leader that runs for
-- its followers.
-- KEYS: live states. ARGV: ttl, then the time of the recorded end of each state (13 digits).
for n = 1, #KEYS do
  local head = redis.pcall('GETRANGE', KEYS[n], 0, HEAD - 1)
  if type(head) == 'string' and head ~= '' and terminal(sub(head, 11, 11)) and sub(head, 14, 14) == '0' and sub(head, 69, 81) == ARGV[n + 1] then
    redis.call('PEXPIRE', KEYS[n], ARGV[1])
  end
end
