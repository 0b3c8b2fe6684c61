-- Marks the predictions of a job as running for a worker, and returns their states with the tasks. Skips canceled, expired and
-- unknown predictions. A prediction whose executions were lost too often fails. An execution was lost if its worker has died. An
-- execution of a living worker does not count: its job was returned, or its reply was lost.
-- KEYS: live states.
-- ARGV: now, tag, worker (padded), most attempts, ttl recorded, ttl unrecorded, inline, error of a lost prediction, error of an
--       expired prediction; then for each state the job that names the state, if one of the jobs is a later job.
-- Returns for each state its text before this script, with the updated count of executions that were not lost. The new attempt is one
-- more than the attempts in the text. '' means skipped, and nil means not read because the reply is full: the caller calls again. Then
-- follow the ids of ended leaders with followers left, for followers.lua.
local now, tag, worker, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local ttls = { recorded = ARGV[5], unrecorded = ARGV[6], inline = tonumber(ARGV[7]) }
local lost, too_late = ARGV[8], ARGV[9]
local now13 = ms(now)
local out, unended = {}, {}

-- Length of the name of a first job, `p-<id>`. Names of later jobs have a number behind the id (jobIdOf in job.ts).
local FIRST_JOB = 38

-- The general case: anything but a waiting prediction of opening 0 that neither leads nor follows.
local function take(key, id, v, job)
  local one = parse(v)
  if not one then
    discard(key)
    return ''
  end
  -- Only the job of an opening runs this opening: the job of an earlier opening can still wait, or another worker can hold this job.
  if #one.j > FIRST_JOB and one.j ~= job and opening_of(one) > 0 then return '' end
  local followers = one.g and redis.call('SCARD', tag .. 'w:' .. id) or 0
  if not terminal(one.s) and expired(one.x, now) then
    keep_attempt(one)
    one.st = NEVER
    if followers > 0 then
      one.c = true
    else
      leave_queue(one)
      release_flight(tag, one.f, id, 0)
    end
    terminate(tag, id, one, 'e', too_late, now, '', '', ttls, followers > 0)
  end
  -- The worker of the leader died before the last follower had ended.
  if followers > 0 and terminal(one.s) and not one.c then unended[#unended + 1] = id end
  if one.y or (terminal(one.s) and not (one.c and followers > 0)) then
    if terminal(one.s) and one.c then
      -- The worker died between the end of the last follower and passed.lua. The state expires from now on.
      leave_queue(one)
      one.c = false
      save(key, one, ttls.unrecorded)
    elseif terminal(one.s) and not one.u then
      leave_queue(one)
      redis.call('SETRANGE', key, 12, '1')
    end
    return ''
  end
  if one.a > one.b and (one.w == worker or redis.call('EXISTS', tag .. 'hb:' .. worker_of(one)) == 1) then
    one.b = one.b + 1
    v = sub(v, 1, 21) .. format('%05d', one.b) .. sub(v, 27)
  end
  if one.a - one.b >= most then
    -- The prediction left the queue with its first attempt.
    one.c = false
    if terminal(one.s) then save(key, one, ttls.unrecorded)
    else
      keep_attempt(one)
      one.st = NEVER
      terminate(tag, id, one, 'f', lost, now, '', '', ttls)
    end
    if end_followers(tag, id, 'f', lost, now, NEVER, '', '', ttls, too_late) > 0 then unended[#unended + 1] = id end
    release_flight(tag, one.f, id, 0)
    return ''
  end
  if one.i == '' then return '' end
  leave_queue(one)
  local kept = not terminal(one.s) and keep_attempt(one)
  one.a, one.w = one.a + 1, worker
  if not terminal(one.s) then one.s, one.st = 'r', now13 end
  if kept then redis.call('SET', key, pack(one), 'KEEPTTL')
  else redis.call('SETRANGE', key, 0, sub(pack(one), 1, HEAD)) end
  for _, follower in ipairs(followers > 0 and redis.call('SRANDMEMBER', tag .. 'w:' .. id, FOLLOWERS) or {}) do
    local fk = live_key(tag, follower)
    if redis.call('GETRANGE', fk, 10, 10) == 'q' then
      redis.call('SETRANGE', fk, 10, 'r')
      redis.call('SETRANGE', fk, 39, now13)
    end
  end
  return v
end

-- The separators before the task of a prediction without an end.
local NO_END = string.rep(SEP, 4)

-- A reply ends after the state that exceeds this number of bytes, because Redis and the connection serve other work too.
local REPLY_BYTES = 1048576
local byte = string.byte
local bytes = 0

local function take_one(n)
  local key, v = KEYS[n], text_of(KEYS[n])
  local a, b, z = v and tonumber(sub(v, 17, 21)), v and tonumber(sub(v, 22, 26)), v and tonumber(sub(v, 82, 87))
  local created = v and find(v, SEP, HEAD + 1, true)
  if not v then
    out[n] = ''
  -- The frequent case: waiting, in the queue, without followers, not a follower, opening 0.
  elseif sub(v, 11, 11) == 'q' and sub(v, 13, 16) == '0000' and not expired(sub(v, 27, 39), now)
    and a and b and a - b < most and z and sub(v, HEAD + z + 1, HEAD + z + 4) == NO_END
    and created and byte(v, created + 14) == 31 then
    local p = sub(v, 12, 12)
    redis.call('SETRANGE', key, '10', 'r' .. p .. '1000' .. format('%05d', a + 1) .. sub(v, 22, 39) .. now13 .. worker)
    local from = find(v, SEP, created + 15, true) + 1
    count_left(sub(v, from, find(v, SEP, from, true) - 1), p)
    out[n] = v
  else
    out[n] = take(key, id_of(tag, key), v, ARGV[9 + n])
  end
  bytes = bytes + #out[n]
end

for n = 1, #KEYS do
  if bytes < REPLY_BYTES then take_one(n) else out[n] = false end
end
flush(tag)
for n, id in ipairs(unended) do out[#KEYS + n] = id end
return out
