-- Renames the key of a long success, which a writer has written in pieces, to the key of the live state. The text never passes
-- through a script, because a script copies a text several times while Redis does nothing else.
-- KEYS: live state, the written key.
-- ARGV: tag, id, bytes of the written text, the expected part of the head ('': there must be no state), position of this part in
--       the head, the state without metadata, options and result (for the event), ttl unrecorded, flight, flight lingers, the
--       leader that the prediction follows ('' for none).
-- Returns 1 (written), 0 (the head is another: the written key is deleted), or 2 (the written key is gone or incomplete: the writer
-- must write the text again).
local key, written = KEYS[1], KEYS[2]
local tag, id, bytes, head, from, short, ttl, flight, tomb, leader = unpack(ARGV)
local function is_as_expected()
  if head == '' then return redis.call('EXISTS', key) == 0 end
  return redis.pcall('GETRANGE', key, from, from + #head - 1) == head
end
if not is_as_expected() then
  redis.call('UNLINK', written)
  return 0
end
if redis.call('STRLEN', written) ~= tonumber(bytes) then
  redis.call('UNLINK', written)
  return 2
end
redis.call('RENAME', written, key)
redis.call('PEXPIRE', key, report_end(id, '', short, false, { unrecorded = ttl }))
release_flight(tag, flight, id, tonumber(tomb))
if leader ~= '' then redis.call('SREM', tag .. 'w:' .. leader, id) end
flush(tag)
return 1
