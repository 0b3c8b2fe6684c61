-- Puts a long success, which its worker has written under a key of its own, in the place of the live state. The text never
-- passes through a script: Redis does nothing else while a script runs, and a script copies each text several times.
-- KEYS: live state, the key that holds what it is to be.
-- ARGV: tag, id, what must stand at the head now (from the status to the attempts), the state without what is too long for an
--       event, ttl unrecorded, flight, flight lingers.
-- Returns 1 (written), 0 (the head is another: the key that was written is deleted), or 2 (that key is gone).
local key, written = KEYS[1], KEYS[2]
local tag, id, head, short, ttl, flight, tomb = unpack(ARGV)
if redis.pcall('GETRANGE', key, 10, 20) ~= head then
  redis.call('UNLINK', written)
  return 0
end
if redis.call('EXISTS', written) == 0 then return 2 end
redis.call('RENAME', written, key)
redis.call('PEXPIRE', key, tell(id, '', short, false, { unrecorded = ttl }))
release_flight(tag, flight, id, tonumber(tomb))
flush(tag)
return 1
