-- wrk -s wrk.lua URL -- BODIES "name: value"...
-- Sends the lines of the file BODIES as JSON bodies, in turn and from the start again at the end, and prints the
-- figures as one line of JSON.
-- There is no response(): wrk would build a table of the headers of every response, and the measurement would include
-- that work.
local requests = {}
local at = 0

function init(args)
  local headers = { ["content-type"] = "application/json" }
  for i = 2, #args do
    local name, value = args[i]:match("^([^:]+): (.*)$")
    headers[name] = value
  end
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, line)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
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
