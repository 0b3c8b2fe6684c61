-- The reconciler gives a waiting prediction that nobody carries a job of its own. The ledger has it open.
-- KEYS: its live state. ARGV: now, tag, id, job, job key prefix, ttl waiting, then of the ledger's row the number of its
-- opening, when the end before that opening was (13 digits), and the deadline (13 digits); last '1' to tell the recorder of a
-- terminal prediction again.
-- Returns {'gone'}, {'terminal'}, {'carried'}, or {'adopted', priority} (add its job).
local now, tag, id, job, jobs, ttl, opening, superseded, deadline, announce = unpack(ARGV)
local key = KEYS[1]
local one = load(key)
if not one then return { 'gone' } end
local own, theirs = opening_of(one), tonumber(opening)
-- A process of 0.1.0 retries without a new number, and sets the time of the end that it undid as well.
local undone = own < theirs or theirs == 0
if undone and terminal(one.s) and one.s ~= 's' and one.i ~= '' and one.cm <= superseded then
  -- The ledger has a retry of this end, and Redis was not told of the retry.
  local number = reopen(tag, one, { opening = opening, job = job, deadline = deadline })
  save(key, one, ttl)
  return number and { 'adopted', one.p } or { 'carried' }
end
if own < theirs then
  -- Brought back by a process of 0.1.0, which does not know the number; or Redis has lost its last moments.
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
-- Its job had the priority of the most urgent one that waits for it. Some are enough: a script must stay short.
local p = one.p
if one.g then
  for _, follower in ipairs(redis.call('SRANDMEMBER', tag .. 'w:' .. id, 200)) do
    local own = redis.call('GETRANGE', live_key(tag, follower), 11, 11)
    if own ~= '' and own < p then p = own end
  end
end
return { 'adopted', p }
