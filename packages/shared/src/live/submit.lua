-- Writes the live state of new predictions, and finds for each who computes it: itself, or a leader under way.
-- KEYS: live state of each.
-- ARGV: now, tag, model, version, priority, job id, job key prefix, ttl waiting, ttl terminal, inline, digest, then for each:
--       id, created, deadline, tenant, metadata, options, flight, task, attempts so far,
--       answer known already ('' for none).
-- Returns for each: {'lead', number}, {'follow', leader, leader's priority, leader's job}, {'done'} or {'exists', status};
--       last, the model's counts: {s1, t1, s5, t5, s9, t9}.
local now, tag, model, version, priority, job, jobs = unpack(ARGV, 1, 7)
local ttl, ttl_end, inline, digest = ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11]
local stats = tag .. 'n:' .. model
local out = {}
-- Numbers are given out from here, and the counter is moved once, at the end.
local number, leads = tonumber(redis.call('HGET', stats, 's' .. priority) or '0'), 0

-- Whether a leader's computation still has somebody who carries it: a job while it waits, a worker while it runs.
local function carried(hs, t, j, w, c)
  if hs == 'running' or (c and w) then return redis.call('EXISTS', tag .. 'hb:' .. w) == 1 end
  if hs == 'queued' or c then
    return tonumber(now) - tonumber(t) < 3000 or carries(jobs .. j)
  end
  return false
end

for n = 1, #KEYS do
  local at = 11 + (n - 1) * 10
  local id, t, x, tenant, metadata, options, flight, task, a, known = unpack(ARGV, at + 1, at + 10)
  local key = KEYS[n]
  local s = redis.call('HGET', key, 's')
  if s then
    out[n] = { 'exists', s }
  else
    local leader, answered = nil, nil
    if flight ~= '' then
      local holder = redis.call('GET', tag .. 'f:' .. flight)
      if holder and holder ~= id then
        local hk = live_key(tag, holder)
        local hs, ht, hj, hw, hc = unpack(redis.call('HMGET', hk, 's', 't', 'j', 'w', 'c'))
        if hs == 'succeeded' then
          answered = hk
        elseif hs and carried(hs, ht, hj, hw, hc) then
          leader = holder
        end
      end
    end
    local fields = { 's', 'queued', 'a', a, 't', t, 'm', model, 'v', version, 'd', digest, 'p', priority,
      'j', job }
    local function put(name, value)
      if value ~= '' then fields[#fields + 1] = name fields[#fields + 1] = value end
    end
    if tenant ~= 'default' then put('n', tenant) end
    put('x', x) put('k', metadata) put('o', options)
    if a ~= '0' then put('b', a) end
    if known ~= '' then
      put('u', '1')
      redis.call('HSET', key, unpack(fields))
      terminate(tag, id, 'succeeded', known, now, '', '', '', ttl_end, inline, a)
      out[n] = { 'done' }
    elseif answered then
      -- The leader has just finished: its flight lingers so that a question asked meanwhile is not computed twice.
      put('u', '1')
      redis.call('HSET', key, unpack(fields))
      local st, im, bs, r = unpack(redis.call('HMGET', answered, 'st', 'im', 'bs', 'r'))
      redis.call('HINCRBY', key, 'a', 1)
      terminate(tag, id, 'succeeded', r, now, st, im, bs, ttl_end, inline)
      out[n] = { 'done' }
    else
      redis.call('SET', tag .. 'i:' .. id, task, 'PX', ttl)
      if leader then
        local lk = live_key(tag, leader)
        local ls, lst, lp, lj = unpack(redis.call('HMGET', lk, 's', 'st', 'p', 'j'))
        put('l', leader)
        put('u', '1')
        redis.call('HSET', key, unpack(fields))
        if ls == 'running' then redis.call('HSET', key, 's', 'running', 'st', lst) end
        redis.call('SADD', tag .. 'w:' .. leader, id)
        redis.call('HSET', lk, 'g', '1')
        redis.call('PEXPIRE', tag .. 'w:' .. leader, ttl)
        out[n] = { 'follow', leader, lp, lj }
      else
        number = number + 1
        leads = leads + 1
        put('f', flight)
        put('q', tostring(number))
        redis.call('HSET', key, unpack(fields))
        if flight ~= '' then redis.call('SET', tag .. 'f:' .. flight, id, 'PX', ttl) end
        out[n] = { 'lead', number }
      end
      redis.call('PEXPIRE', key, ttl)
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
