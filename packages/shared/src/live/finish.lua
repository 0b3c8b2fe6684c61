-- A worker gives results back. A write whose attempt is not the latest is refused: its worker had lost the work.
-- KEYS: live state of each.
-- ARGV: now, tag, ttl terminal, inline, flight lingers, error of an expired one, then for each:
--       id, attempt, status, result, started, inference ms, batch size.
-- Returns for each 1 (written), 2 (it was cancelled meanwhile: thrown away) or 0 (fenced).
local now, tag, ttl, inline = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local tomb, expired = tonumber(ARGV[5]), ARGV[6]
local out = {}
for n = 1, #KEYS do
  local at = 6 + (n - 1) * 7
  local id, attempt, status, result, st, im, bs = unpack(ARGV, at + 1, at + 7)
  local key = KEYS[n]
  local s, a, c, x, f, g = unpack(redis.call('HMGET', key, 's', 'a', 'c', 'x', 'f', 'g'))
  local own = s
  if not s or a ~= attempt or s == 'queued' then
    out[n] = 0
  elseif terminal(s) and not c then
    out[n] = 2
  else
    out[n] = 1
    if s == 'running' then
      if x and tonumber(x) <= tonumber(now) then
        own = 'expired'
        terminate(tag, id, own, expired, now, st, '', '', ttl, inline, a)
      else
        own = status
        terminate(tag, id, own, result, now, st, im, bs, ttl, inline, a)
      end
    else
      redis.call('HDEL', key, 'c')
      redis.call('PEXPIRE', key, ttl)
      redis.call('PEXPIRE', tag .. 'i:' .. id, ttl)
      out[n] = 2
    end
    if g and redis.call('EXISTS', tag .. 'w:' .. id) == 1 then
      end_followers(tag, id, status, result, now, st, im, bs, ttl, inline, expired)
      out[n] = 1
    end
    if status == 'succeeded' and own == 'succeeded' then release_flight(tag, key, id, tomb, f)
    else release_flight(tag, key, id, 0, f) end
  end
end
flush(tag)
return out
