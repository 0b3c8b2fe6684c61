-- A worker gives results back. A write whose attempt is not the latest is refused: its worker had lost the work.
-- KEYS: live state of each.
-- ARGV: now, tag, ttl recorded, ttl unrecorded, inline, flight lingers, error of an expired one, then for each:
--       attempt (5 digits), status (1), started (13), inference ms, separator and batch size in one text; result.
-- Returns for each 1 (written), 2 (it was cancelled meanwhile: thrown away) or 0 (fenced).
local now, tag = ARGV[1], ARGV[2]
local ttls = { recorded = ARGV[3], unrecorded = ARGV[4], inline = tonumber(ARGV[5]) }
local tomb, too_late = tonumber(ARGV[6]), ARGV[7]
local now13 = ms(now)
-- Enough for all but the task of nearly every prediction.
local PEEK = 512
local out = {}

-- All but a plain success of a running prediction that nobody follows.
local function finish(key, id, status, result, st, im, bs)
  local one = load(key)
  local verdict, own = 1, one.s
  local goes_on = one.c
  one.c = false
  if one.s == 'r' then
    one.st = st
    if expired(one.x, now) then
      own = 'e'
      terminate(tag, id, one, own, too_late, now, '', '', ttls)
    else
      own = status
      terminate(tag, id, one, own, result, now, im, bs, ttls)
    end
  elseif goes_on then
    save(key, one, ttls.unrecorded)
    verdict = 2
  end
  if one.g and redis.call('EXISTS', tag .. 'w:' .. id) == 1 then
    end_followers(tag, id, status, result, now, st, im, bs, ttls, too_late)
    verdict = 1
  end
  release_flight(tag, one.f, id, (status == 's' and own == 's') and tomb or 0)
  return verdict
end

for n = 1, #KEYS do
  local key, done, result = KEYS[n], ARGV[6 + 2 * n], ARGV[7 + 2 * n]
  local attempt, status, id = sub(done, 1, 5), sub(done, 6, 6), id_of(tag, key)
  local v = redis.call('GETRANGE', key, 0, PEEK - 1)
  local s = sub(v, 11, 11)
  if v == '' or sub(v, 17, 21) ~= attempt or s == 'q' then
    out[n] = 0
  elseif s ~= 'r' and sub(v, 14, 14) == '0' then
    out[n] = 2
  else
    local st, run, size = sub(done, 7, 19), sub(done, 20), tonumber(sub(v, 82, 87))
    if s == 'r' and status == 's' and sub(v, 14, 15) == '00' and HEAD + size <= PEEK and not expired(sub(v, 27, 39), now) then
      local state = concat({ sub(v, 1, 10), 's', sub(v, 12, 39), st, sub(v, 53, 68), now13, sub(v, 82, HEAD + size),
        SEP, run, SEP, result, SEP })
      redis.call('SET', key, state, 'PX', tell(id, 's', attempt, st, now, run, result, state, ttls))
      release_flight(tag, sub(v, HEAD + 1, find(v, SEP, HEAD + 1, true) - 1), id, tomb)
      out[n] = 1
    else
      out[n] = finish(key, id, status, result, st, string.match(run, '^(.*)\31(.*)$'))
    end
  end
end
flush(tag)
return out
