-- Writes the results of a worker. Refuses an attempt that is not the latest: its worker had lost the work.
-- KEYS: live states.
-- ARGV: now, tag, ttl recorded, ttl unrecorded, inline, flight lingers, error of an expired prediction; then two texts for each
--       state. If the state has not changed since the worker took the prediction: '+' and the expected head from the status to the attempts; the new state.
--       Otherwise: attempt (5 digits), status (1), started (13), inference ms, batch size and ms from the start to the run, with
--       separators between these three; the result.
-- Returns for each 1 (written), 2 (discarded: the prediction was canceled), or 0 (fenced). Two codes mean written with followers
-- left for followers.lua: 3 (followers get the end of the leader) and 4 (followers get this result, the leader has another end).
local now, tag = ARGV[1], ARGV[2]
local ttls = { recorded = ARGV[3], unrecorded = ARGV[4], inline = tonumber(ARGV[5]) }
local tomb, too_late = ARGV[6], ARGV[7]
local out = {}
local match = string.match

-- The stack of Lua bounds unpack.
local FLIGHTS_AT_ONCE = 400

-- The general case: anything but an unchanged prediction without followers that has succeeded.
local function finish(key, id, attempt, status, result, st, im, bs, batched)
  local one = load(key)
  if not one or one.a ~= attempt or one.s == 'q' then return 0 end
  if one.s ~= 'r' and not one.c then return 2 end
  local verdict, own = 1, one.s
  local ran = { worker = one.w, batched = batched }
  one.c = false
  if one.s == 'r' then
    one.st = st
    if expired(one.x, now) then
      own = 'e'
      terminate(tag, id, one, own, too_late, now, '', '', ttls)
    else
      own = status
      one.o = set_option(one.o, 'batched', batched)
      terminate(tag, id, one, own, result, now, im, bs, ttls)
    end
  else
    save(key, one, ttls.unrecorded)
    verdict = 2
  end
  if one.g and redis.call('EXISTS', tag .. 'w:' .. id) == 1 then
    local remaining = end_followers(tag, id, status, result, now, st, im, bs, ttls, too_late, ran)
    verdict = 1
    if remaining > 0 and own == status then verdict = 3
    elseif remaining > 0 then
      -- If this worker dies before the last follower has ended, the leader is computed again for its followers.
      verdict, one.c = 4, true
      save(key, one)
    end
  end
  release_flight(tag, one.f, id, own == 's' and tomb or 0)
  return verdict
end

-- The flights of the successes in the frequent case, with their leaders.
local flights, leaders = {}, {}

for n = 1, #KEYS do
  local key, head, body = KEYS[n], ARGV[6 + 2 * n], ARGV[7 + 2 * n]
  local id = id_of(tag, key)
  if sub(head, 1, 1) ~= '+' then
    local im, bs, batched = match(head, '^(.*)\31(.*)\31(.*)$', 20)
    out[n] = finish(key, id, tonumber(sub(head, 1, 5)), sub(head, 6, 6), body, sub(head, 7, 19), im, bs, batched)
  elseif redis.pcall('GETRANGE', key, '10', '20') == sub(head, 2) then
    redis.call('SET', key, body, 'PX', report_end(id, body, body, true, ttls))
    local flight = match(body, '^[^\31]*', HEAD + 1)
    if flight ~= '' then
      local at = #flights + 1
      flights[at], leaders[at] = tag .. 'f:' .. flight, id
    end
    out[n] = 1
  else
    local one = parse(body)
    out[n] = finish(key, id, one.a, 's', one.r, one.st, one.im, one.bs, match(one.o, '"batched":(%d+)'))
  end
end
-- As `release_flight`, with one command for many flights.
for from = 1, #flights, FLIGHTS_AT_ONCE do
  local holders = redis.call('MGET', unpack(flights, from, math.min(#flights, from + FLIGHTS_AT_ONCE - 1)))
  for n, holder in ipairs(holders) do
    local at = from + n - 1
    if holder == leaders[at] then redis.call('PEXPIRE', flights[at], tomb) end
  end
end
flush(tag)
return out
