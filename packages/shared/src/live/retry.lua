-- Opens a failed, expired or canceled prediction again, as a new attempt under the same id.
-- KEYS: its live state. ARGV: now, tag, id, job, deadline, ttl waiting, tenant.
-- Returns {'gone'}, {'refused', status}, {'queued', number} (add its job) or {'attached'} (it is being computed still).
local now, tag, id, job, x, ttl, tenant = unpack(ARGV)
local key = KEYS[1]
local s, a, n, c, st, w, m, p, u = unpack(redis.call('HMGET', key, 's', 'a', 'n', 'c', 'st', 'w', 'm', 'p', 'u'))
if not s or tenant_of(n) ~= tenant then return { 'gone' } end
if s == 'succeeded' or not terminal(s) then return { 'refused', s } end
if redis.call('EXISTS', tag .. 'i:' .. id) == 0 then return { 'gone' } end
redis.call('HDEL', key, 'r', 'cm', 'im', 'bs', 'l', 'x')
if x ~= '' then redis.call('HSET', key, 'x', x) end
redis.call('PEXPIRE', key, ttl)
redis.call('PEXPIRE', tag .. 'i:' .. id, ttl)
if c then
  redis.call('HDEL', key, 'c')
  if u then redis.call('HSET', key, 's', 'running') else redis.call('HSET', key, 's', 'queued') end
  return { 'attached' }
end
redis.call('HDEL', key, 'st', 'w', 'u', 'f')
local number = redis.call('HINCRBY', tag .. 'n:' .. m, 's' .. p, 1)
redis.call('HSET', key, 's', 'queued', 'b', a, 'q', number, 'j', job)
return { 'queued', number }
