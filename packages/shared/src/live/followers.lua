-- Ends followers of a leader whose computation has ended, up to the limits of one script run.
-- KEYS: live state of the leader. ARGV: now, tag, id, ttl recorded, ttl unrecorded, inline, error of an expired prediction, error of a
--       lost prediction; then status ('': the leader's own end), started (13 digits), inference ms, batch size, result, padded
--       worker, and ms from the start to the run.
-- Returns the number of followers left; -1 if the leader's own end is a long success, which no script copies.
local now, tag, id = ARGV[1], ARGV[2], ARGV[3]
local ttls = { recorded = ARGV[4], unrecorded = ARGV[5], inline = tonumber(ARGV[6]) }
local too_late, lost, status, st, im, bs, result = unpack(ARGV, 7, 13)
local ran = { worker = ARGV[14], batched = ARGV[15] }
if status == '' then
  local leader = load(KEYS[1])
  -- The reconciler gives each promised follower a job.
  if not leader or not terminal(leader.s) then return 0 end
  if leader.cut or leader.ledgered then return -1 end
  status, st, im, bs, result = leader.s, leader.st, leader.im, leader.bs, leader.r
  local batched = string.match(leader.o, '"batched":(%d+)')
  ran = batched and { worker = leader.w, batched = batched }
  -- The leader was canceled or has expired itself, which does not end its followers. The computation was lost: see take.lua.
  if status == 'c' or status == 'e' then status, st, result, ran = 'f', NEVER, lost, nil end
end
local left_over = end_followers(tag, id, status, result, now, st, im, bs, ttls, too_late, ran)
if left_over == 0 then
  local leader = load(KEYS[1])
  if leader and leader.c then
    leader.c = false
    save(KEYS[1], leader, ttls.unrecorded)
  end
end
flush(tag)
return left_over
