-- Shared by the scripts of this folder, put before each of them. All keys carry one hash tag, so they are in one slot.
--
-- A prediction's live state is one string, `p:<id>`: a head of fixed widths, so that what changes on the way of most
-- predictions is read and written without touching the rest, then fields with the unit separator between, which JSON
-- text and names never hold raw. state.ts writes it first and reads it. A hash of these fields with the task in a key of
-- its own took three times the commands, and a command is what a script is paid for.
--
--   head: q number in the queue (0: none), s status (first letter), p priority, u '1' once it left the queue, c '1' while
--         it is computed for its followers though it is itself terminal, g '1' once it had a follower, y '1' while it
--         follows another, a attempts, b those of them that cannot have been
--         lost (when last (re)tried by hand, and one more for each whose worker lived on), x deadline, st started (0: none), w worker,
--         cm completed (0: none), z length of the first ten fields below
--   then: f flight, t created and opening, n tenant, m model, v version, d digest, j job, l leader, k metadata, o options,
--         im inference ms, bs batch size, r result, i task
--
-- `w:<id>` is the set of its followers, `f:<flight>` names who computes a cache key, `hb:<worker>` lives while its
-- worker does. `n:<model>` counts predictions that entered (s<priority>) and left (t<priority>) the queue.

local HEAD = 87
local SEP = '\31'
local NEVER = '0000000000000'
local sub, format, find, concat = string.sub, string.format, string.find, table.concat

local function live_key(tag, id) return tag .. 'p:' .. id end
local function id_of(tag, key) return sub(key, #tag + 3) end
local function terminal(s) return s ~= 'q' and s ~= 'r' end
local function ms(number) return format('%013.0f', number) end

-- The form of every head. state.ts has the same.
local HEAD_FORM = '^' .. string.rep('%d', 10) .. '[qrsfce]%d[01][01][01][01]' .. string.rep('%d', 36)
  .. string.rep('.', 16) .. string.rep('%d', 19)

-- Bytes of a state that a script reads at first. A longer state that has succeeded is read no further: the state never
-- changes again, and no script needs its result.
local PEEK = 131072

-- Whether the text has all of a long success but its result and what stands behind the result.
local function is_cut(v)
  local z = #v == PEEK and sub(v, 11, 11) == 's' and tonumber(sub(v, 82, 87))
  return z and HEAD + z + 64 < PEEK
end

-- All of a state as a table of texts; nil for an empty one, and for one that is unreadable: damaged, or of a layout that
-- this version does not know. A long success is without its result, and `cut` is set.
local function parse(v)
  if not v or v == '' or not find(v, HEAD_FORM) then return nil end
  local fields, from, cut = {}, HEAD + 1, nil
  for n = 1, 13 do
    local at = find(v, SEP, from, true)
    if not at and n == 13 and is_cut(v) then
      fields[13], from, cut = '', #v + 1, true
    elseif not at then return nil
    else
      fields[n] = sub(v, from, at - 1)
      from = at + 1
    end
  end
  return {
    cut = cut,
    q = sub(v, 1, 10), s = sub(v, 11, 11), p = sub(v, 12, 12), u = sub(v, 13, 13) == '1', c = sub(v, 14, 14) == '1',
    g = sub(v, 15, 15) == '1', y = sub(v, 16, 16) == '1', a = tonumber(sub(v, 17, 21)), b = tonumber(sub(v, 22, 26)),
    x = sub(v, 27, 39), st = sub(v, 40, 52), w = sub(v, 53, 68), cm = sub(v, 69, 81),
    f = fields[1], t = fields[2], n = fields[3], m = fields[4], v = fields[5], d = fields[6], j = fields[7],
    l = fields[8], k = fields[9], o = fields[10], im = fields[11], bs = fields[12], r = fields[13], i = sub(v, from),
  }
end

local function bit(set) return set and '1' or '0' end

local function pack(one)
  local first = concat({ one.f, one.t, one.n, one.m, one.v, one.d, one.j, one.l, one.k, one.o }, SEP)
  local head = one.q .. one.s .. one.p .. bit(one.u) .. bit(one.c) .. bit(one.g) .. bit(one.y) .. format('%05d%05d', one.a, one.b)
    .. one.x .. one.st .. one.w .. one.cm .. format('%06d', #first)
  return head .. concat({ first, one.im, one.bs, one.r, one.i }, SEP)
end

-- The number of the opening stands behind the time of creation (see `openingText` in state.ts): none for opening 0.
local function opening_of(one) return tonumber(string.match(one.t, '%.000000(%d+)$') or '0') end

local function set_opening(one, opening)
  local created = string.match(one.t, '^%d+') or one.t
  one.t = tonumber(opening) > 0 and created .. '.000000' .. opening or created
end

-- Number of the format of the data of this version: QUEUE_FORMAT in redis/format.ts.
local FORMAT = 1

-- Deletes an unreadable state, and counts it for the reconciler. The promise is in the ledger, or with the API process whose
-- caller waits: the prediction is brought back from there, which the key prevented. What a newer format has is left alone.
local function discard(key)
  local tag = sub(key, 1, -39)
  local format = redis.pcall('GET', tag .. 'format')
  if type(format) == 'string' and (tonumber(format) or 0) > FORMAT then return end
  redis.call('DEL', key)
  redis.pcall('INCR', tag .. 'bad')
end

-- A state as text, of a long success its beginning. Nil where there is none, and where the key holds another type: versions
-- before 0.1.0 kept a hash.
local function text_of(key)
  local v = redis.pcall('GETRANGE', key, 0, PEEK - 1)
  if type(v) ~= 'table' then
    if #v == PEEK and not is_cut(v) then return redis.call('GET', key) end
    if v == '' then return nil end
    return v
  end
  if not find(v.err, 'WRONGTYPE', 1, true) then error(v) end
  discard(key)
  return nil
end

local function load(key)
  local v = text_of(key)
  local one = parse(v)
  if v and not one then discard(key) end
  return one
end

-- `ttl` in ms; none: for ever.
local function save(key, one, ttl)
  if ttl then redis.call('SET', key, pack(one), 'PX', ttl) else redis.call('SET', key, pack(one)) end
end

local function expired(x, now)
  local at = tonumber(x)
  return x ~= NEVER and at ~= nil and at <= tonumber(now)
end

-- The worker that runs it, without its padding.
local function worker_of(one) return (string.gsub(one.w, ' +$', '')) end

-- Whether a job is still to be run. BullMQ keeps the last failed ones for people to look at: those carry nothing.
local function carries(job)
  return redis.call('EXISTS', job) == 1 and redis.call('HEXISTS', job, 'finishedOn') == 0
end

-- Events and ledger entries of one script run go out together, in one entry each.
local out_events, out_ledger = {}, {}

-- Those who leave the queue are counted together too.
local left = {}

local function count_left(m, p)
  local n = left[m] or {}
  n[p] = (n[p] or 0) + 1
  left[m] = n
end

local function leave_queue(one)
  if not one.u then
    one.u = true
    count_left(one.m, one.p)
  end
end

-- Opens an ended prediction again under the number `opening`. `again` has the text of the number, the job and the deadline.
-- Returns its number in the queue (its job must be added), or nil when its computation is still under way for followers.
local function reopen(tag, one, again)
  set_opening(one, again.opening)
  one.r, one.cm, one.im, one.bs, one.l, one.y, one.x = '', NEVER, '', '', '', false, again.deadline
  if one.c then
    one.c = false
    one.s = one.u and 'r' or 'q'
    return nil
  end
  local number = redis.call('HINCRBY', tag .. 'n:' .. one.m, 's' .. one.p, 1)
  one.st, one.w, one.u, one.f = NEVER, string.rep(' ', 16), false, ''
  one.s, one.b, one.q, one.j = 'q', one.a, format('%010d', number), again.job
  return number
end

-- What is told of an end: its state, to those who wait without what is too long for an event (LONG in its place), and to
-- the recorder. A success never changes again, so the recorder is given all of it; anything else may be opened again, and is
-- read when its turn comes. Gives how long the state is to be kept: what the recorder must still read is kept until it has.
local LONG = '\30'

local function tell(id, state, short, recorded, ttls)
  local n, l = #out_events, #out_ledger
  out_events[n + 1], out_events[n + 2] = id, short
  out_ledger[l + 1], out_ledger[l + 2] = id, recorded and state or ''
  return recorded and ttls.recorded or ttls.unrecorded
end

-- Ends a prediction; what succeeded is never run again, and needs no task. `keep`: for as long as others need it.
local function terminate(tag, id, one, status, result, now, im, bs, ttls, keep)
  one.s, one.r, one.cm, one.im, one.bs = status, result, ms(now), im, bs
  if status == 's' then one.i = '' end
  local key, state = live_key(tag, id), pack(one)
  local short = state
  if status ~= 's' or #state > ttls.inline then
    local k, o, i = one.k, one.o, one.i
    one.k, one.o, one.i = '', '', ''
    if #result > ttls.inline then one.r = LONG end
    short = pack(one)
    one.k, one.o, one.i, one.r = k, o, i, result
  end
  local ttl = tell(id, state, short, status == 's' and #state <= ttls.inline, ttls)
  if keep then redis.call('SET', key, state) else redis.call('SET', key, state, 'PX', ttl) end
end

-- Nobody computes this key any more, if it was `id` who did; after a success it still answers for `tomb` ms.
local function release_flight(tag, f, id, tomb)
  if f == '' then return end
  local name = tag .. 'f:' .. f
  if redis.call('GET', name) == id then
    if tomb > 0 then redis.call('PEXPIRE', name, tomb) else redis.call('DEL', name) end
  end
end

-- Followers that one script run ends, and bytes of results that it writes for them: Redis does nothing else meanwhile.
local FOLLOWERS, FOLLOWER_BYTES = 200, 1048576

-- Ends followers of a computation with its result; one that has passed its own deadline expires instead. Gives how many are
-- left for further runs (followers.lua).
local function end_followers(tag, id, status, result, now, st, im, bs, ttls, too_late)
  local set = tag .. 'w:' .. id
  local most = math.max(1, math.min(FOLLOWERS, math.floor(FOLLOWER_BYTES / math.max(1, #result))))
  for _, follower in ipairs(redis.call('SPOP', set, most)) do
    local one = load(live_key(tag, follower))
    if one and not terminal(one.s) and one.y and one.l == id then
      one.st = st
      if expired(one.x, now) then
        terminate(tag, follower, one, 'e', too_late, now, '', '', ttls)
      else
        one.a = one.a + 1
        terminate(tag, follower, one, status, result, now, im, bs, ttls)
      end
    end
  end
  return redis.call('SCARD', set)
end

-- Events are kept for readers that are late by a moment, at most 1,000 entries. After an entry of n bytes the stream has at most
-- EVENT_BYTES / n entries: entries of 64 KiB would else take 64 MB in each shard.
local EVENT_BYTES = 1048576

local function flush(tag)
  -- unpack is bounded by Lua's stack, and whoever reads entries bounds them by number: long lists go out in parts.
  local function add_all(stream, list, head, most_bytes)
    local from = 1
    while from <= #list do
      local args, bytes, to = {}, 0, from
      for n, word in ipairs(head) do args[n] = word end
      local n = #head
      repeat
        args[n + 1], args[n + 2] = list[to], list[to + 1]
        n, bytes, to = n + 2, bytes + #list[to + 1], to + 2
      until to > #list or to - from >= 400 or bytes >= 65536
      if most_bytes then args[3] = math.max(8, math.min(1000, math.floor(most_bytes / bytes))) end
      redis.call('XADD', stream, unpack(args))
      from = to
    end
  end
  add_all(tag .. 'ev', out_events, { 'MAXLEN', '~', 1000, '*' }, EVENT_BYTES)
  add_all(tag .. 'rec', out_ledger, { '*' })
  for m, counts in pairs(left) do
    for p, n in pairs(counts) do redis.call('HINCRBY', tag .. 'n:' .. m, 't' .. p, n) end
  end
end
