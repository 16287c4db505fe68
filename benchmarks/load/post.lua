-- POST the file BODY as JSON; prints one line of JSON at the end, after the mark RESULT.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

not_200 = 0

function init(args)
  local file = io.open(os.getenv("BODY"), "rb")
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = file:read("*a")
  file:close()
end

function response(status, headers, body)
  if status ~= 200 then not_200 = not_200 + 1 end
end

function done(summary, latency, requests)
  local refused = 0
  for _, thread in ipairs(threads) do refused = refused + thread:get("not_200") end
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"answered":%d,"not_200":%d,"socket_errors":%d,"seconds":%.4f,"p50_ms":%.3f,"p99_ms":%.3f}\n',
    summary.requests, refused, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
