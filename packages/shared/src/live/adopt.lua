-- The reconciler gives a waiting prediction that nobody carries a job of its own.
-- KEYS: its live state. ARGV: now, tag, id, job, job key prefix, ttl waiting.
-- Returns {'gone'}, {'terminal'}, {'carried'}, or {'adopted', priority} (add its job).
local now, tag, id, job, jobs, ttl = unpack(ARGV)
local key = KEYS[1]
local one = load(key)
if not one then return { 'gone' } end
if terminal(one.s) and not one.c then
  -- The ledger does not know yet: tell it again, in case the entry was lost.
  out_ledger[1] = id
  out_ledger[2] = ''
  flush(tag)
  return { 'terminal' }
end
if one.y then
  local leader = load(live_key(tag, one.l))
  if leader and (not terminal(leader.s) or leader.c) and carries(jobs .. leader.j) then return { 'carried' } end
  one.y, one.l = false, ''
elseif carries(jobs .. one.j) then
  return { 'carried' }
end
one.j = job
save(key, one, ttl)
return { 'adopted', one.p }
