-- Prepares the end of the followers of a leader that was canceled or has expired, for a long result that no script carries. The
-- first run deletes the flight, so that no prediction follows the leader any more. The run after the end of the last follower
-- marks that the leader runs for no follower.
-- KEYS: live state of the leader. ARGV: tag, id, attempt, ttl unrecorded.
-- Returns 1 while this attempt of the leader has followers, else 0.
local tag, id, attempt, ttl = unpack(ARGV)
local one = load(KEYS[1])
if not one or one.a ~= tonumber(attempt) or not one.c or not terminal(one.s) then return 0 end
release_flight(tag, one.f, id, 0)
if redis.call('EXISTS', tag .. 'w:' .. id) == 1 then return 1 end
one.c = false
save(KEYS[1], one, ttl)
return 0
