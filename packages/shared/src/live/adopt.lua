-- Gives a waiting prediction without a job a job of its own. The reconciler calls this script for predictions that are open in the
-- ledger.
-- KEYS: live state. ARGV: now, tag, id, job, job key prefix, ttl waiting; then from the row of the ledger: number of the opening,
-- time of the end before this opening (13 digits), deadline (13 digits); then '1' to report a terminal prediction to the recorder
-- again.
-- Returns {'gone'}, {'terminal'}, {'carried'}, or {'adopted', priority}: the caller then adds the job.
local now, tag, id, job, jobs, ttl, opening, superseded, deadline, announce = unpack(ARGV)
local key = KEYS[1]
local one = load(key)
if not one then return { 'gone' } end
local own, theirs = opening_of(one), tonumber(opening)
-- A process of 0.1.0 retries without a new number, and also records the time of the end that the retry undoes.
local undone = own < theirs or theirs == 0
if undone and terminal(one.s) and one.s ~= 's' and one.i ~= '' and one.cm <= superseded then
  -- The ledger has a retry of this end that Redis does not have.
  local number = reopen(tag, one, { now = now, opening = opening, job = job, deadline = deadline })
  save(key, one, ttl)
  return number and { 'adopted', one.p } or { 'carried' }
end
if own < theirs then
  -- A process of 0.1.0, which has no numbers, restored the state, or Redis lost its last writes.
  if one.cut then one = parse(redis.call('GET', key)) end
  set_opening(one, opening)
  redis.call('SET', key, pack(one), 'KEEPTTL')
end
if terminal(one.s) and not one.c then
  if announce == '1' then
    out_ledger[1], out_ledger[2] = id, ''
    flush(tag)
  end
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
-- The new job gets the highest priority of the leader and its followers. A sample of 200 followers keeps the script short.
local p = one.p
if one.g then
  for _, follower in ipairs(redis.call('SRANDMEMBER', tag .. 'w:' .. id, 200)) do
    local own = redis.call('GETRANGE', live_key(tag, follower), 11, 11)
    if own ~= '' and own < p then p = own end
  end
end
return { 'adopted', p }
