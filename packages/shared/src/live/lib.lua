-- Functions of all scripts in this folder; store.ts puts this file before each script. All keys of a script have one hash tag, so
-- the keys are in one slot.
--
-- The live state of a prediction is one string, `p:<id>`: a head of fixed widths, then fields with a unit separator between two
-- fields. JSON text and names never contain a raw unit separator. Scripts read and write the head of most predictions without the
-- fields. state.ts writes a new state, and reads states. A hash for the fields and a separate key for the task needed three times
-- the commands, and the commands decide the cost of a script.
--
--   head: q number in the queue (0: none), s status (first letter; 'l' for a success whose output is in the ledger), p priority, u '1' once the prediction has left the queue, c '1'
--         while a terminal prediction runs for its followers, g '1' once the prediction had a follower, y '1' if the prediction
--         follows a leader or has the result of a leader, a attempts, b attempts that were not lost (all attempts at the last retry, and one more for each whose
--         worker lived on), x deadline, st started (0: none), w worker, cm completed (0: none), z bytes of the first ten fields
--   then: f flight, t created and opening, n tenant, m model, v version, d digest, j job, l leader, k metadata, o options,
--         im inference ms, bs batch size, r result, i task
--
-- `w:<id>` is the set of followers, `f:<flight>` has the id of the leader, `hb:<worker>` exists while the worker lives. `n:<model>`
-- counts predictions that entered (s<priority>) and left (t<priority>) the queue.

local HEAD = 87
local SEP = '\31'
local NEVER = '0000000000000'
local sub, format, find, concat = string.sub, string.format, string.find, table.concat

local function live_key(tag, id) return tag .. 'p:' .. id end
local function id_of(tag, key) return sub(key, #tag + 3) end
local function terminal(s) return s ~= 'q' and s ~= 'r' end
local function ms(number) return format('%013.0f', number) end

-- The form of every head. state.ts has the same form.
local HEAD_FORM = '^' .. string.rep('%d', 10) .. '[qrsfcel]%d[01][01][01][01]' .. string.rep('%d', 36)
  .. string.rep('.', 16) .. string.rep('%d', 19)

-- Bytes of a state that a script reads first. A script reads no more of a longer success, because a success never changes and no
-- script needs its result.
local PEEK = 131072
-- The positions of the first and the last of these bytes. Redis converts a number of Lua to text for each call, which takes longer than
-- to pass a text.
local FIRST, PEEK_END = '0', format('%d', PEEK - 1)

-- Whether the text is the beginning of a long success, with all fields before the result.
local function is_cut(v)
  local z = #v == PEEK and sub(v, 11, 11) == 's' and tonumber(sub(v, 82, 87))
  return z and HEAD + z + 64 < PEEK
end

-- A state as a table of its parts; nil for an empty or unreadable state (damaged, or of an unknown layout). The table of a long
-- success has no result, and has `cut`. The result of a `ledgered` success only describes its output, which no prediction may get.
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
  local s = sub(v, 11, 11)
  return {
    cut = cut, ledgered = s == 'l',
    q = sub(v, 1, 10), s = s == 'l' and 's' or s, p = sub(v, 12, 12), u = sub(v, 13, 13) == '1', c = sub(v, 14, 14) == '1',
    g = sub(v, 15, 15) == '1', y = sub(v, 16, 16) == '1', a = tonumber(sub(v, 17, 21)), b = tonumber(sub(v, 22, 26)),
    x = sub(v, 27, 39), st = sub(v, 40, 52), w = sub(v, 53, 68), cm = sub(v, 69, 81),
    f = fields[1], t = fields[2], n = fields[3], m = fields[4], v = fields[5], d = fields[6], j = fields[7],
    l = fields[8], k = fields[9], o = fields[10], im = fields[11], bs = fields[12], r = fields[13], i = sub(v, from),
  }
end

local function bit(set) return set and '1' or '0' end

local function pack(one)
  local first = concat({ one.f, one.t, one.n, one.m, one.v, one.d, one.j, one.l, one.k, one.o }, SEP)
  local head = one.q .. (one.ledgered and 'l' or one.s) .. one.p .. bit(one.u) .. bit(one.c) .. bit(one.g) .. bit(one.y) .. format('%05d%05d', one.a, one.b)
    .. one.x .. one.st .. one.w .. one.cm .. format('%06d', #first)
  return head .. concat({ first, one.im, one.bs, one.r, one.i }, SEP)
end

-- The number of the opening is behind the time of creation (see `openingText` in state.ts). Opening 0 has no number.
local function opening_of(one) return tonumber(string.match(one.t, '%.000000(%d+)$') or '0') end

local function set_opening(one, opening)
  local created = string.match(one.t, '^%d+') or one.t
  one.t = tonumber(opening) > 0 and created .. '.000000' .. opening or created
end

-- The format of the data of this version: QUEUE_FORMAT in redis/format.ts.
local FORMAT = 1

-- Deletes an unreadable state, and counts the state for the reconciler. The ledger, or the API process of the waiting caller, has the
-- prediction and restores the state, which the unreadable key prevented. Data of a newer format stays.
local function discard(key)
  local tag = sub(key, 1, -39)
  local format = redis.pcall('GET', tag .. 'format')
  if type(format) == 'string' and (tonumber(format) or 0) > FORMAT then return end
  redis.call('DEL', key)
  redis.pcall('INCR', tag .. 'bad')
end

-- A state as text; of a long success only the beginning. Nil if there is no state, or if the key has another type: versions before
-- 0.1.0 had a hash.
local function text_of(key)
  local v = redis.pcall('GETRANGE', key, FIRST, PEEK_END)
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

-- `ttl` in ms; without `ttl` the state does not expire.
local function save(key, one, ttl)
  if ttl then redis.call('SET', key, pack(one), 'PX', ttl) else redis.call('SET', key, pack(one)) end
end

local function expired(x, now)
  local at = tonumber(x)
  return x ~= NEVER and at ~= nil and at <= tonumber(now)
end

-- The id of the worker, without padding.
local function worker_of(one) return (string.gsub(one.w, ' +$', '')) end

-- The options are JSON text. A quote inside a string of JSON has a backslash, so no text of a user looks like one of these members.
-- `value` is text of JSON; without `value` the member is removed.
local function set_option(o, name, value)
  o = string.gsub(o, ',?"' .. name .. '":%d+', '')
  o = string.gsub(o, '^{,', '{')
  if o == '{}' then o = '' end
  if not value then return o end
  return (o == '' and '{' or sub(o, 1, -2) .. ',') .. '"' .. name .. '":' .. value .. '}'
end

-- Keeps the attempt of a state for the timeline, before another attempt replaces the attempt. At most 20 attempts are kept.
local function keep_attempt(one)
  local worker = string.gsub(worker_of(one), '[^%w_.:-]', '')
  if one.a == 0 or worker == '' or one.st == NEVER then return false end
  local entry = format('[%d,"%s",%d]', one.a, worker, tonumber(one.st))
  local from, to, list = find(one.o, '"past":%[(%[.-%])%]')
  if from then
    local _, more = string.gsub(list, '%],%[', '')
    if more >= 19 then list = string.gsub(list, '^%[.-%],', '', 1) end
    one.o = sub(one.o, 1, from - 1) .. '"past":[' .. list .. ',' .. entry .. ']' .. sub(one.o, to + 1)
  else
    one.o = (one.o == '' and '{' or sub(one.o, 1, -2) .. ',') .. '"past":[' .. entry .. ']}'
  end
  return true
end

-- Whether a job will run. BullMQ keeps the last failed jobs for inspection: these jobs never run.
local function carries(job)
  return redis.call('EXISTS', job) == 1 and redis.call('HEXISTS', job, 'finishedOn') == 0
end

-- The events of one script run are one stream entry, and so are the entries for the recorder.
local out_events, out_ledger = {}, {}

-- Predictions that leave the queue, by model and priority.
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

-- Opens an ended prediction again. `again` has the time, the number of the opening, the job and the deadline as text. Returns the number in the
-- queue (the caller adds the job), or nil if the computation is still in progress for followers.
local function reopen(tag, one, again)
  keep_attempt(one)
  one.o = set_option(one.o, 'batched')
  one.o = set_option(one.o, 'queued', format('%.0f', math.max(0, tonumber(again.now) - tonumber(string.match(one.t, '^%d+')))))
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

-- Reports an end: an event with the state for waiting callers, where LONG replaces a long result, and an entry for the recorder. The
-- entry has the whole state of a success, because a success never changes. The recorder reads any other state when it records the
-- entry, since a retry can open that prediction again. Returns the ttl of the state: Redis keeps a state that the recorder must read.
local LONG = '\30'

local function report_end(id, state, short, recorded, ttls)
  local n, l = #out_events, #out_ledger
  out_events[n + 1], out_events[n + 2] = id, short
  out_ledger[l + 1], out_ledger[l + 2] = id, recorded and state or ''
  return recorded and ttls.recorded or ttls.unrecorded
end

-- Ends a prediction. A success never runs again, and needs no task. With `keep` the state does not expire.
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
  local ttl = report_end(id, state, short, status == 's' and #state <= ttls.inline, ttls)
  if keep then redis.call('SET', key, state) else redis.call('SET', key, state, 'PX', ttl) end
end

-- Lets the flight expire after `tomb` ms if `id` is the leader: at once with 0. The flight of a success remains for a moment.
local function release_flight(tag, f, id, tomb)
  if f == '' then return end
  local name = tag .. 'f:' .. f
  if redis.call('GET', name) == id then redis.call('PEXPIRE', name, tomb) end
end

-- Limits of one script run, during which Redis does nothing else: followers to end, and bytes of results to write.
local FOLLOWERS, FOLLOWER_BYTES = 200, 1048576

-- Ends followers of a leader with its result. A follower whose own deadline has passed expires. `ran` has the padded worker of the
-- leader and the ms from the start to the run, or is nil without a run. Returns the number of followers left for followers.lua.
local function end_followers(tag, id, status, result, now, st, im, bs, ttls, too_late, ran)
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
        if ran then
          one.w, one.o = ran.worker, set_option(one.o, 'batched', ran.batched)
        end
        terminate(tag, follower, one, status, result, now, im, bs, ttls)
      end
    end
  end
  return redis.call('SCARD', set)
end

-- The event stream has at most 1,000 entries, for readers that are a moment late. After an entry of n bytes the stream has at most
-- EVENT_BYTES / n entries: 1,000 entries of 64 KiB would take 64 MB in each shard.
local EVENT_BYTES = 1048576

local function flush(tag)
  -- Long lists become several entries: the stack of Lua bounds unpack, and readers limit the number of entries, not of bytes.
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
