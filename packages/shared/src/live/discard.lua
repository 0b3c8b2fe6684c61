-- Discards an unreadable state. With an attempt, gives up the execution of a readable state with this latest attempt: its task is
-- unreadable. Without an error the state is discarded, and the ledger or the API process of the waiting caller has the prediction.
-- With an error the prediction fails, and its followers do not fail: the reconciler gives each promised follower a job.
-- KEYS: live state. ARGV: attempt, or ''; with an attempt also ttl unrecorded, then with an error: now, tag, error, ttl recorded, inline.
local attempt, ttl, now, tag, error_text, recorded, inline = unpack(ARGV)
local key = KEYS[1]
local one = load(key)
-- A retry keeps the number of attempts, and waits in the queue.
if not one or attempt == '' or one.a ~= tonumber(attempt) or one.s == 'q' then return end
if terminal(one.s) then
  -- The prediction ended during the execution: the recorder may not have read this end. An execution for followers ends here.
  if one.c then
    one.c = false
    save(key, one, ttl)
  end
elseif error_text then
  local id = id_of(tag, key)
  terminate(tag, id, one, 'f', error_text, now, '', '', { recorded = recorded, unrecorded = ttl, inline = tonumber(inline) })
  release_flight(tag, one.f, id, 0)
  flush(tag)
else
  discard(key)
end
