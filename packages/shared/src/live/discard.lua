-- Discards an unreadable state. With an attempt, discards a readable state with this latest attempt too: its task is unreadable.
-- KEYS: live state. ARGV: attempt, or ''.
-- Returns 1 if there is no state now, else 0.
local one = load(KEYS[1])
if one and ARGV[1] ~= '' and one.a == tonumber(ARGV[1]) then
  discard(KEYS[1])
  one = nil
end
return one and 0 or 1
