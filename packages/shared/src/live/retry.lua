-- Opens a failed, expired or canceled prediction again, as a new attempt under the same id.
-- KEYS: live state. ARGV: now, tag, id, job, deadline (13 digits), ttl waiting, tenant, number of the new opening.
-- Returns {'gone'}, {'refused', status}, {'reopened', status} (the state has this number or a later number), {'queued', number} (the
-- caller adds the job) or {'attached'} (the computation is still in progress).
local now, tag, id, job, x, ttl, tenant, opening = unpack(ARGV)
local key = KEYS[1]
local one = load(key)
if not one or one.n ~= tenant then return { 'gone' } end
if opening_of(one) >= tonumber(opening) then return { 'reopened', one.s } end
if one.s == 's' or not terminal(one.s) then return { 'refused', one.s } end
if one.i == '' then return { 'gone' } end
local number = reopen(tag, one, { now = now, opening = opening, job = job, deadline = x })
save(key, one, ttl)
if not number then return { 'attached' } end
return { 'queued', number }
