-- Writes the live states of new predictions. Each prediction leads a flight, or follows a leader whose computation is in progress.
-- KEYS: live states.
-- ARGV: now, tag, model, priority, job key prefix, ttl waiting, ttl recorded, ttl unrecorded, inline, number of cached results; then
--       for each cached result its position and the result; then the states without their numbers.
-- Returns for each the number of a leader, {'follow', leader, leader's priority, leader's job}, {'done'} or {'exists', status}. The last
-- element is the counts of the model: {s1, t1, s5, t5, s9, t9}.
local now, tag, model, priority, jobs, ttl = unpack(ARGV, 1, 6)
local ttls = { recorded = ARGV[7], unrecorded = ARGV[8], inline = tonumber(ARGV[9]) }
local knowns = {}
local states = 10 + 2 * tonumber(ARGV[10])
for at = 11, states, 2 do knowns[tonumber(ARGV[at])] = ARGV[at + 1] end
local stats = tag .. 'n:' .. model
local out = {}
-- Numbers start at the counter of the model. The script increments the counter once, at the end.
local number, leads = tonumber(redis.call('HGET', stats, 's' .. priority) or '0'), 0
local NONE = '0000000000'

-- Whether a leader will get a result: a waiting leader has a job, and a running leader has a living worker.
local function carried(leader)
  if leader.s == 'r' or (leader.c and worker_of(leader) ~= '') then
    return redis.call('EXISTS', tag .. 'hb:' .. worker_of(leader)) == 1
  end
  if leader.s == 'q' or leader.c then
    return tonumber(now) - tonumber(leader.t) < 3000 or carries(jobs .. leader.j)
  end
  return false
end

-- Writes a new state. Returns the reply for an existing state, or nil.
local function add(key, state)
  if redis.call('SET', key, state, 'NX', 'PX', ttl) then return nil end
  local one = load(key)
  if one then return { 'exists', one.s } end
  redis.call('SET', key, state, 'PX', ttl)
  return nil
end

local function end_at_once(key, id, state, a, st, im, bs, result, leader)
  local there = add(key, NONE .. state)
  if there then return there end
  local one = parse(NONE .. state)
  one.u, one.a, one.st, one.y = true, one.a + a, st, a > 0
  if leader then one.w, one.o = leader.w, set_option(one.o, 'batched', string.match(leader.o, '"batched":(%d+)')) end
  terminate(tag, id, one, 's', result, now, im, bs, ttls)
  return { 'done' }
end

-- Whether a task names the ledger: its first byte is VERSION of predictions/ledger-task.ts.
local function in_ledger(i) return string.byte(i, 1) == 3 end

-- Whether a prediction with its task in Redis would wait for Postgres behind this leader.
local function needs_ledger(leader, state) return in_ledger(leader.i) and not in_ledger(parse(NONE .. state).i) end

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
    -- Admission counts the followers of these leaders, because each follower gets a copy of the output.
    led[holder] = true
    redis.call('SADD', tag .. 'lead:' .. model, holder)
  end
  if not leader.g then redis.call('SETRANGE', live_key(tag, holder), 14, '1') end
  return { 'follow', holder, leader.p, leader.j }
end

for n = 1, #KEYS do
  local key, state, known = KEYS[n], ARGV[states + n], knowns[n]
  local id = id_of(tag, key)
  -- The state has no number yet, so all positions are 10 lower.
  local flight = string.match(state, '^[^\31]*', HEAD - 9)
  local leader, holder, mine, again
  if flight ~= '' and not known then
    holder = redis.pcall('SET', tag .. 'f:' .. flight, id, 'NX', 'GET', 'PX', ttl)
    if type(holder) == 'table' then
      -- The key has another type. After any other error this command fails too.
      redis.call('SET', tag .. 'f:' .. flight, id, 'PX', ttl)
      holder = false
    end
    mine = not holder
    -- A prediction that holds its own flight was submitted before: `add` finds its state.
    if holder then
      leader = load(live_key(tag, holder))
      -- The state of this leader was lost, and its followers still wait for its result: it does not follow a later leader.
      again = redis.call('EXISTS', tag .. 'w:' .. id) == 1
      if again then leader = nil end
      if leader and needs_ledger(leader, state) then leader = nil end
      -- No script copies a long result. If the cache does not have the result yet, this prediction computes the result again.
      if leader and (leader.cut or leader.ledgered or (leader.s ~= 's' and not carried(leader))) then leader = nil end
    end
  end
  if known then
    out[n] = end_at_once(key, id, state, 0, NEVER, '', '', known)
  elseif leader and leader.s == 's' then
    -- The prediction has the result of the leader, and is marked as a follower. The leader has just ended. Its flight remains for some seconds for requests that missed the cache before the end.
    out[n] = end_at_once(key, id, state, 1, leader.st, leader.im, leader.bs, leader.r, leader)
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
      if holder then redis.call('SET', tag .. 'f:' .. flight, id, 'PX', ttl) end
      if again then redis.call('SETRANGE', key, 14, '1') end
      out[n] = number
    end
  end
end
if leads > 0 then
  redis.call('HINCRBY', stats, 's' .. priority, leads)
  -- A worker of many models opens a consumer for this model. A worker that misses the message finds the job within a second.
  redis.call('PUBLISH', tag .. 'bell', model)
end
flush(tag)
out[#KEYS + 1] = redis.call('HMGET', stats, 's1', 't1', 's5', 't5', 's9', 't9')
return out
