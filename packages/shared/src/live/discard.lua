-- Looks whether a state can be read, and discards it where it cannot. With an attempt: discards a state that can be read, whose
-- latest attempt it is, since its task cannot be read.
-- KEYS: its live state. ARGV: attempt, or ''.
-- Returns 1 where the state is gone now, 0 where it stands.
local one = load(KEYS[1])
if one and ARGV[1] ~= '' and one.a == tonumber(ARGV[1]) then
  discard(KEYS[1])
  one = nil
end
return one and 0 or 1
