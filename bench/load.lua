-- Sends the requests of a file in turn, one per line (METHOD PATH TOKEN BODY); ends with one line of JSON.
-- KEY in a body's place of a header, and REFRESH in a body, are made anew for each request: see bench/cases.py.
local requests, position = {}, 0
local tokens, kept, run = {}, 0, ""

-- Arguments: the requests, what keys begin with, and a file of refresh tokens, one per line, if there is one.
function init(args)
  run = args[2]
  for line in io.lines(args[1]) do
    local method, path, token, body = line:match("^(%S+) (%S+) (%S+) ?(.*)$")
    local headers = { Authorization = "Bearer " .. token }
    local keyed = method == "KEYED"
    if keyed then method, headers["Idempotency-Key"] = "POST", "@KEY@" end
    if body == "" then body = nil else headers["Content-Type"] = "application/json" end
    local text = wrk.format(method, path, headers, body)
    local before, after = text:match("^(.-)@KEY@(.*)$")
    requests[#requests + 1] = before and { before, after } or text
  end
  if args[3] then
    for token in io.lines(args[3]) do kept = kept + 1; tokens[kept] = token end
    response = renew
  end
end

local function sent(asked)
  if type(asked) == "string" then return asked end
  return asked[1] .. run .. position .. asked[2]
end

function request()
  position = position + 1
  if kept > 0 then
    local token = tokens[kept]
    kept = kept - 1
    return wrk.format("POST", "/login/", { ["Content-Type"] = "application/json" },
      '{"grant_type":"refresh_token","refresh_token":"' .. token .. '"}')
  end
  return sent(requests[(position - 1) % #requests + 1])
end

-- A refresh token that was used is good no more: the next request has the one that came for it.
function renew(status, headers, body)
  local token = body:match('"refresh_token": ?"([^"]+)"')
  if token then kept = kept + 1; tokens[kept] = token end
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50": %d, "p99": %d}',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
