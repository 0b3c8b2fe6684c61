-- Discards an unreadable state. With an attempt, discards a readable state with this latest attempt too: its task is unreadable.
-- KEYS: live state. ARGV: attempt, or ''.
local one = load(KEYS[1])
if one and ARGV[1] ~= '' and one.a == tonumber(ARGV[1]) then discard(KEYS[1]) end
