-- A worker takes predictions of a job: marks them running and gets their tasks. Cancelled, expired and unknown ones are
-- skipped; one whose executions were lost too often fails.
-- KEYS: live state of each.
-- ARGV: now, tag, worker, most attempts, ttl terminal, inline, error of a lost one, error of an expired one, then ids.
-- Returns for each one text: attempt, created, lost, tenant and task with the unit separator between; '' to skip it.
local now, tag, worker = ARGV[1], ARGV[2], ARGV[3]
local most, ttl, inline, lost, expired = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
local out = {}
for n = 1, #KEYS do
  local id, key = ARGV[8 + n], KEYS[n]
  local s, a, b, x, l, c, t, tenant, g, u, m, p =
    unpack(redis.call('HMGET', key, 's', 'a', 'b', 'x', 'l', 'c', 't', 'n', 'g', 'u', 'm', 'p'))
  local followers = g and redis.call('SCARD', tag .. 'w:' .. id) or 0
  if s and not terminal(s) and x and tonumber(x) <= tonumber(now) then
    terminate(tag, id, 'expired', expired, now, '', '', '', ttl, inline)
    s = 'expired'
    if followers > 0 then
      redis.call('HSET', key, 'c', '1')
      redis.call('PERSIST', key)
      redis.call('PERSIST', tag .. 'i:' .. id)
      c = '1'
    else
      leave_queue(tag, key)
      release_flight(tag, key, id, 0)
    end
  end
  if not s or l or (terminal(s) and not (c and followers > 0)) then
    if s and terminal(s) then leave_queue(tag, key) end
    out[n] = ''
  elseif tonumber(a) - tonumber(b or '0') >= most then
    leave_queue(tag, key)
    if not terminal(s) then terminate(tag, id, 'failed', lost, now, '', '', '', ttl, inline) end
    end_followers(tag, id, 'failed', lost, now, '', '', '', ttl, inline, expired)
    release_flight(tag, key, id, 0)
    redis.call('HDEL', key, 'c')
    out[n] = ''
  else
    local task = redis.call('GET', tag .. 'i:' .. id)
    if not task then
      out[n] = ''
    else
      local attempt = tonumber(a) + 1
      if not u then count_left(m, p) end
      if terminal(s) then redis.call('HSET', key, 'a', attempt, 'w', worker, 'u', '1')
      else redis.call('HSET', key, 'a', attempt, 'w', worker, 'u', '1', 's', 'running', 'st', now) end
      if followers > 0 then
        for _, follower in ipairs(redis.call('SMEMBERS', tag .. 'w:' .. id)) do
          local fk = live_key(tag, follower)
          if redis.call('HGET', fk, 's') == 'queued' then redis.call('HSET', fk, 's', 'running', 'st', now) end
        end
      end
      out[n] = table.concat({ attempt, t, attempt - 1 - tonumber(b or '0'), tenant_of(tenant), task }, '\31')
    end
  end
end
flush(tag)
return out
