-- Opens a failed, expired or canceled prediction again, as a new attempt under the same id.
-- KEYS: its live state. ARGV: now, tag, id, job, deadline (13 digits), ttl waiting, tenant.
-- Returns {'gone'}, {'refused', status}, {'queued', number} (add its job) or {'attached'} (it is being computed still).
local now, tag, id, job, x, ttl, tenant = unpack(ARGV)
local key = KEYS[1]
local one = load(key)
if not one or one.n ~= tenant then return { 'gone' } end
if one.s == 's' or not terminal(one.s) then return { 'refused', one.s } end
if one.i == '' then return { 'gone' } end
one.r, one.cm, one.im, one.bs, one.l, one.y, one.x = '', NEVER, '', '', '', false, x
if one.c then
  one.c = false
  one.s = one.u and 'r' or 'q'
  save(key, one, ttl)
  return { 'attached' }
end
local number = redis.call('HINCRBY', tag .. 'n:' .. one.m, 's' .. one.p, 1)
one.st, one.w, one.u, one.f = NEVER, string.rep(' ', 16), false, ''
one.s, one.b, one.q, one.j = 'q', one.a, format('%010d', number), job
save(key, one, ttl)
return { 'queued', number }
