-- Cancels or expires one prediction. A computation that others wait for goes on without it.
-- KEYS: its live state. ARGV: now, tag, id, status, result, ttl terminal, inline, tenant.
-- Returns {'gone'}, {'terminal', status} or {'ended', was}.
local now, tag, id, status, result, ttl, inline, tenant = unpack(ARGV)
local key = KEYS[1]
local s, l, st, n, x = unpack(redis.call('HMGET', key, 's', 'l', 'st', 'n', 'x'))
if not s or tenant_of(n) ~= tenant then return { 'gone' } end
if terminal(s) then return { 'terminal', s } end
if status == 'expired' and (not x or tonumber(x) > tonumber(now)) then return { 'early' } end
terminate(tag, id, status, result, now, st or '', '', '', ttl, tonumber(inline))
if l then
  redis.call('SREM', tag .. 'w:' .. l, id)
  local lk = live_key(tag, l)
  if redis.call('HGET', lk, 'c') and redis.call('SCARD', tag .. 'w:' .. l) == 0 then
    -- The leader went on for its followers alone, and the last of them is gone.
    redis.call('HDEL', lk, 'c')
    leave_queue(tag, lk)
    release_flight(tag, lk, l, 0)
    redis.call('PEXPIRE', lk, ttl)
    redis.call('PEXPIRE', tag .. 'i:' .. l, ttl)
  end
elseif redis.call('SCARD', tag .. 'w:' .. id) > 0 then
  redis.call('HSET', key, 'c', '1')
  redis.call('PERSIST', key)
  redis.call('PERSIST', tag .. 'i:' .. id)
else
  leave_queue(tag, key)
  release_flight(tag, key, id, 0)
end
flush(tag)
return { 'ended', s }
