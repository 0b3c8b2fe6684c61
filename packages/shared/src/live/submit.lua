-- Writes the live state of new predictions, and finds for each who computes it: itself, or a leader under way.
-- KEYS: live state of each.
-- ARGV: now, tag, model, priority, job key prefix, ttl waiting, ttl recorded, ttl unrecorded, inline, how many answers are
--       known already, for each of those its place and the answer; then for each its state but for its number.
-- Returns for each: its number when it leads, or {'follow', leader, leader's priority, leader's job}, {'done'} or
--       {'exists', status}; last, the model's counts: {s1, t1, s5, t5, s9, t9}.
local now, tag, model, priority, jobs, ttl = unpack(ARGV, 1, 6)
local ttls = { recorded = ARGV[7], unrecorded = ARGV[8], inline = tonumber(ARGV[9]) }
local knowns = {}
local states = 10 + 2 * tonumber(ARGV[10])
for at = 11, states, 2 do knowns[tonumber(ARGV[at])] = ARGV[at + 1] end
local stats = tag .. 'n:' .. model
local out = {}
-- Numbers are given out from here, and the counter is moved once, at the end.
local number, leads = tonumber(redis.call('HGET', stats, 's' .. priority) or '0'), 0
local NONE = '0000000000'

-- Whether a leader's computation still has somebody who carries it: a job while it waits, a worker while it runs.
local function carried(leader)
  if leader.s == 'r' or (leader.c and worker_of(leader) ~= '') then
    return redis.call('EXISTS', tag .. 'hb:' .. worker_of(leader)) == 1
  end
  if leader.s == 'q' or leader.c then
    return tonumber(now) - tonumber(leader.t) < 3000 or carries(jobs .. leader.j)
  end
  return false
end

-- Gives what there is already, or nil.
local function add(key, state)
  if redis.call('SET', key, state, 'NX', 'PX', ttl) then return nil end
  local one = load(key)
  if one then return { 'exists', one.s } end
  redis.call('SET', key, state, 'PX', ttl)
  return nil
end

local function end_at_once(key, id, state, a, st, im, bs, result)
  local there = add(key, NONE .. state)
  if there then return there end
  local one = parse(NONE .. state)
  one.u, one.a, one.st = true, one.a + a, st
  terminate(tag, id, one, 's', result, now, im, bs, ttls)
  return { 'done' }
end

local led = {}

local function follow(key, id, state, holder, leader)
  local one = parse(NONE .. state)
  one.u, one.y, one.l, one.f = true, true, holder, ''
  if leader.s == 'r' then one.s, one.st = 'r', leader.st end
  local there = add(key, pack(one))
  if there then return there end
  redis.call('SADD', tag .. 'w:' .. holder, id)
  redis.call('PEXPIRE', tag .. 'w:' .. holder, ttl)
  if not led[holder] then
    -- Admission counts the followers of these leaders: each gets a copy of the output.
    led[holder] = true
    redis.call('SADD', tag .. 'lead:' .. model, holder)
  end
  if not leader.g then redis.call('SETRANGE', live_key(tag, holder), 14, '1') end
  return { 'follow', holder, leader.p, leader.j }
end

for n = 1, #KEYS do
  local key, state, known = KEYS[n], ARGV[states + n], knowns[n]
  local id = id_of(tag, key)
  -- What comes before the number is not there yet.
  local flight = sub(state, HEAD - 9, find(state, SEP, HEAD - 9, true) - 1)
  local leader, holder, mine
  if flight ~= '' and not known then
    holder = redis.pcall('SET', tag .. 'f:' .. flight, id, 'NX', 'GET', 'PX', ttl)
    if type(holder) == 'table' then
      if not find(holder.err, 'WRONGTYPE', 1, true) then error(holder) end
      redis.call('SET', tag .. 'f:' .. flight, id, 'PX', ttl)
      holder = false
    end
    mine = not holder
    if holder and holder ~= id then
      leader = load(live_key(tag, holder))
      -- A long result is not copied by a script: where the cache does not have the result yet, it is computed again.
      if leader and (leader.cut or (leader.s ~= 's' and not carried(leader))) then leader = nil end
    end
  end
  if known then
    out[n] = end_at_once(key, id, state, 0, NEVER, '', '', known)
  elseif leader and leader.s == 's' then
    -- The leader has just finished: its flight lingers so that a question asked meanwhile is not computed twice.
    out[n] = end_at_once(key, id, state, 1, leader.st, leader.im, leader.bs, leader.r)
  elseif leader then
    out[n] = follow(key, id, state, holder, leader)
  else
    local there = add(key, format('%010d', number + 1) .. state)
    if there then
      if mine then redis.call('DEL', tag .. 'f:' .. flight) end
      out[n] = there
    else
      number = number + 1
      leads = leads + 1
      if holder and holder ~= id then redis.call('SET', tag .. 'f:' .. flight, id, 'PX', ttl) end
      out[n] = number
    end
  end
end
if leads > 0 then
  redis.call('HINCRBY', stats, 's' .. priority, leads)
  -- A worker of many models opens a consumer for this one; who missed it finds the job within a second.
  redis.call('PUBLISH', tag .. 'bell', model)
end
flush(tag)
out[#KEYS + 1] = redis.call('HMGET', stats, 's1', 't1', 's5', 't5', 's9', 't9')
return out
