-- Shared by the scripts of this folder, put before each of them. All keys carry one hash tag, so they are in one slot.
--
-- A prediction's live state is a hash `p:<id>`:
--   s status  a attempts  b attempts when last (re)tried by hand  t created  x deadline  n tenant (none: default)  m model  v version  d digest
--   p priority  k metadata  o options  f flight  l leader  q number in the queue  u '1' once it left the queue
--   w worker  j job  st started  cm completed  im inference ms  bs batch size  r result
--   c '1' while it is computed for its followers though it is itself terminal
--   g '1' once it had a follower, so that those who have none are not looked up
-- Its task is the string `i:<id>`, apart, so that the hash stays a small listpack while it waits.
-- `w:<id>` is the set of its followers, `f:<flight>` names who computes a cache key, `hb:<worker>` lives while its
-- worker does. `n:<model>` counts predictions that entered (s<priority>) and left (t<priority>) the queue.

local function live_key(tag, id) return tag .. 'p:' .. id end
-- The default tenant is not written down: that would be the most frequent field, and each waiting byte counts.
local function tenant_of(n) return n or 'default' end
local function terminal(s) return s ~= 'queued' and s ~= 'running' end

-- Whether a job is still to be run. BullMQ keeps the last failed ones for people to look at: those carry nothing.
local function carries(job)
  return redis.call('EXISTS', job) == 1 and redis.call('HEXISTS', job, 'finishedOn') == 0
end

-- Events and ledger entries of one script run go out together, in one entry each.
local out_events, out_ledger = {}, {}

-- Those who leave the queue are counted together too: a script is paid for by the command.
local left = {}

local function count_left(m, p)
  local n = left[m] or {}
  n[p] = (n[p] or 0) + 1
  left[m] = n
end

local function leave_queue(tag, key)
  local u, m, p = unpack(redis.call('HMGET', key, 'u', 'm', 'p'))
  if not u and m then
    redis.call('HSET', key, 'u', '1')
    redis.call('HINCRBY', tag .. 'n:' .. m, 't' .. p, 1)
  end
end

-- `a` are its attempts, where they are known already. What succeeded is never run again, and needs no task.
local function terminate(tag, id, status, result, now, st, im, bs, ttl, inline, a)
  local key = live_key(tag, id)
  redis.call('HSET', key, 's', status, 'r', result, 'cm', now, 'st', st, 'im', im, 'bs', bs)
  redis.call('PEXPIRE', key, ttl)
  if status == 'succeeded' then redis.call('DEL', tag .. 'i:' .. id)
  else redis.call('PEXPIRE', tag .. 'i:' .. id, ttl) end
  a = a or redis.call('HGET', key, 'a')
  local body = '-'
  if #result <= inline then body = '+' .. result end
  out_events[#out_events + 1] = id
  out_events[#out_events + 1] = status .. '|' .. a .. '|' .. st .. '|' .. now .. '|' .. im .. '|' .. bs .. '|' .. body
  out_ledger[#out_ledger + 1] = id
  out_ledger[#out_ledger + 1] = a
end

-- `f` is its flight where that is known already: false for none.
local function release_flight(tag, key, id, tomb, f)
  if f == nil then f = redis.call('HGET', key, 'f') end
  if f and f ~= '' then
    local name = tag .. 'f:' .. f
    if redis.call('GET', name) == id then
      if tomb > 0 then redis.call('PEXPIRE', name, tomb) else redis.call('DEL', name) end
    end
  end
end

-- Ends the followers of a computation with its result; one that has passed its own deadline expires instead.
local function end_followers(tag, id, status, result, now, st, im, bs, ttl, inline, expired)
  local set = tag .. 'w:' .. id
  for _, follower in ipairs(redis.call('SMEMBERS', set)) do
    local key = live_key(tag, follower)
    local s, l, x = unpack(redis.call('HMGET', key, 's', 'l', 'x'))
    if s and not terminal(s) and l == id then
      if x and x ~= '' and tonumber(x) <= tonumber(now) then
        terminate(tag, follower, 'expired', expired, now, st, '', '', ttl, inline)
      else
        redis.call('HINCRBY', key, 'a', 1)
        terminate(tag, follower, status, result, now, st, im, bs, ttl, inline)
      end
    end
  end
  redis.call('DEL', set)
end

local function flush(tag)
  -- unpack is bounded by Lua's stack: long lists go out in parts.
  local function add_all(stream, list, head)
    for from = 1, #list, 400 do
      local args = {}
      for _, word in ipairs(head) do args[#args + 1] = word end
      for i = from, math.min(from + 399, #list) do args[#args + 1] = list[i] end
      redis.call('XADD', stream, unpack(args))
    end
  end
  add_all(tag .. 'ev', out_events, { 'MAXLEN', '~', '1000', '*' })
  add_all(tag .. 'rec', out_ledger, { '*' })
  for m, counts in pairs(left) do
    for p, n in pairs(counts) do redis.call('HINCRBY', tag .. 'n:' .. m, 't' .. p, n) end
  end
end
