-- wrk -s wrk.lua URL -- BODIES FRESH AT "name: value"...
-- Sends the bodies of the file BODIES in turn and from the start again at the end, and prints the figures as one line
-- of JSON. In the file, the length of each body (32 bits, little-endian) is before the body. FRESH (none, decimal,
-- base64 or float) is the form of a counter that replaces the bytes from AT on, so that all requests differ.
-- There is no response(): wrk would build a table of the headers of every response, and the measurement would include
-- that work.
local heads, tails = {}, {}
local at, count, fresh = 0, 0, nil
local digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

local makers = {
  decimal = { 7, function() return string.format('%07d', count % 10000000) end },
  base64 = { 4, function()
    local text = ''
    for shift = 18, 0, -6 do
      local digit = math.floor(count / 2 ^ shift) % 64 + 1
      text = text .. digits:sub(digit, digit)
    end
    return text
  end },
  -- The lowest bit of the exponent is the highest bit of the third byte. The bit is 0, so the float is finite.
  float = { 3, function()
    return string.char(count % 256, math.floor(count / 256) % 256, math.floor(count / 65536) % 128)
  end },
}

local function bodies(name)
  local file = assert(io.open(name, 'rb'))
  return function()
    local length = file:read(4)
    if not length then return nil end
    local a, b, c, d = length:byte(1, 4)
    return file:read(a + b * 256 + c * 65536 + d * 16777216)
  end
end

function init(args)
  local headers = { ["content-type"] = "application/json" }
  for i = 4, #args do
    local name, value = args[i]:match("^([^:]+): (.*)$")
    headers[name] = value
  end
  local width = 0
  if args[2] ~= 'none' then width, fresh = unpack(makers[args[2]]) end
  math.randomseed(os.time() + math.floor(os.clock() * 1e6))
  count = math.random(0, 9999999)
  for body in bodies(args[1]) do
    local whole = wrk.format("POST", nil, headers, body)
    local from = #whole - #body + tonumber(args[3])
    heads[#heads + 1] = fresh and whole:sub(1, from) or whole
    tails[#tails + 1] = fresh and whole:sub(from + width + 1) or ''
  end
end

function request()
  at = at % #heads + 1
  if not fresh then return heads[at] end
  count = count + 1
  return heads[at] .. fresh() .. tails[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"p50Ms":%.4f,"p99Ms":%.4f,"failed":%d}\n',
    summary.requests,
    summary.duration / 1e6,
    latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
