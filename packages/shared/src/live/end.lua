-- Cancels or expires one prediction. The computation continues for the followers of the prediction.
-- KEYS: live state. ARGV: now, tag, id, status, result, ttl recorded, ttl unrecorded, inline, tenant.
-- Returns {'gone'}, {'terminal', status}, {'early'} or {'ended', status before}.
local now, tag, id, status, result = unpack(ARGV, 1, 5)
local ttls = { recorded = ARGV[6], unrecorded = ARGV[7], inline = tonumber(ARGV[8]) }
local one = load(KEYS[1])
if not one or one.n ~= ARGV[9] then return { 'gone' } end
local was = one.s
if terminal(was) then return { 'terminal', was } end
if status == 'e' and not expired(one.x, now) then return { 'early' } end
local followed = not one.y and redis.call('SCARD', tag .. 'w:' .. id) > 0
if followed then one.c = true
elseif not one.y then
  leave_queue(one)
  release_flight(tag, one.f, id, 0)
end
terminate(tag, id, one, status, result, now, '', '', ttls, followed)
if one.y then
  redis.call('SREM', tag .. 'w:' .. one.l, id)
  local lk = live_key(tag, one.l)
  local leader = load(lk)
  if leader and leader.c and redis.call('SCARD', tag .. 'w:' .. one.l) == 0 then
    -- The leader ran only for its followers, and this was the last follower.
    leader.c = false
    leave_queue(leader)
    release_flight(tag, leader.f, one.l, 0)
    save(lk, leader, ttls.unrecorded)
  end
end
flush(tag)
return { 'ended', was }
