-- A worker gives results back. A write whose attempt is not the latest is refused: its worker had lost the work.
-- KEYS: live state of each.
-- ARGV: now, tag, ttl recorded, ttl unrecorded, inline, flight lingers, error of an expired one, then for each two texts:
--       '+' and what stands at the head (from the status to the attempts) of one that is as its worker took it, and the
--       state that it is to have; or attempt (5 digits), status (1), started (13), inference ms, separator and batch size,
--       and the result.
-- Returns for each 1 (written), 2 (it was cancelled meanwhile: thrown away), 0 (fenced), or written with followers left that
-- followers.lua ends: 3 (with the end of the leader) or 4 (with this result, which is not the leader's own end).
local now, tag = ARGV[1], ARGV[2]
local ttls = { recorded = ARGV[3], unrecorded = ARGV[4], inline = tonumber(ARGV[5]) }
local tomb, too_late = tonumber(ARGV[6]), ARGV[7]
local out = {}

-- All but a success of one that runs, that nobody follows, and that has not changed since it was taken.
local function finish(key, id, attempt, status, result, st, im, bs)
  local one = load(key)
  if not one or one.a ~= attempt or one.s == 'q' then return 0 end
  if one.s ~= 'r' and not one.c then return 2 end
  local verdict, own, goes_on = 1, one.s, one.c
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
    local remaining = end_followers(tag, id, status, result, now, st, im, bs, ttls, too_late)
    verdict = 1
    if remaining > 0 and own == status then verdict = 3
    elseif remaining > 0 then
      -- Should this worker die before they are ended, the leader is computed again for them.
      verdict, one.c = 4, true
      save(key, one)
    end
  end
  release_flight(tag, one.f, id, (status == 's' and own == 's') and tomb or 0)
  return verdict
end

for n = 1, #KEYS do
  local key, head, body = KEYS[n], ARGV[6 + 2 * n], ARGV[7 + 2 * n]
  local id = id_of(tag, key)
  if sub(head, 1, 1) ~= '+' then
    local im, bs = string.match(head, '^(.*)\31(.*)$', 20)
    out[n] = finish(key, id, tonumber(sub(head, 1, 5)), sub(head, 6, 6), body, sub(head, 7, 19), im, bs)
  elseif redis.pcall('GETRANGE', key, 10, 20) == sub(head, 2) then
    redis.call('SET', key, body, 'PX', tell(id, body, body, true, ttls))
    if sub(body, HEAD + 1, HEAD + 1) ~= SEP then
      release_flight(tag, sub(body, HEAD + 1, find(body, SEP, HEAD + 1, true) - 1), id, tomb)
    end
    out[n] = 1
  else
    local one = parse(body)
    out[n] = finish(key, id, one.a, 's', one.r, one.st, one.im, one.bs)
  end
end
flush(tag)
return out
