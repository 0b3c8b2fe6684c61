-- The reconciler gives a waiting prediction that nobody carries a job of its own.
-- KEYS: its live state. ARGV: now, tag, id, job, job key prefix, ttl waiting.
-- Returns {'gone'}, {'terminal'}, {'carried'}, or {'adopted', priority} (add its job).
local now, tag, id, job, jobs, ttl = unpack(ARGV)
local key = KEYS[1]
local s, l, j, c, w = unpack(redis.call('HMGET', key, 's', 'l', 'j', 'c', 'w'))
if not s then return { 'gone' } end
if terminal(s) and not c then
  -- The ledger does not know yet: tell it again, in case the entry was lost.
  out_ledger[1] = id
  out_ledger[2] = redis.call('HGET', key, 'a')
  flush(tag)
  return { 'terminal' }
end
if l then
  local lk = live_key(tag, l)
  local ls, lj, lc = unpack(redis.call('HMGET', lk, 's', 'j', 'c'))
  if ls and (not terminal(ls) or lc) and carries(jobs .. lj) then return { 'carried' } end
  redis.call('HDEL', key, 'l')
elseif carries(jobs .. j) then
  return { 'carried' }
end
redis.call('HSET', key, 'j', job)
redis.call('PEXPIRE', key, ttl)
redis.call('PEXPIRE', tag .. 'i:' .. id, ttl)
return { 'adopted', redis.call('HGET', key, 'p') }
