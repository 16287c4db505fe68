-- POST runs/log-metric: every request one new point (its own step) of one series.
-- From the environment: RUN (run id), BASE (first timestamp, in ms).
-- Prints one line of JSON at the end, after the mark RESULT.
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local run = os.getenv("RUN")
local base = tonumber(os.getenv("BASE"))
local sent = 0
not_200 = 0

function init(args)
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  sent = sent + 1
  -- A range of steps for each thread: no two points are equal, so none can hide behind another when counted.
  return wrk.format("POST", "/api/2.0/mlflow/runs/log-metric", nil, string.format(
    '{"run_id":"%s","key":"loss","value":%.6f,"timestamp":%d,"step":%d}',
    run, math.random(), base + sent, number * 10000000 + sent))
end

function response(status, headers, body)
  if status ~= 200 then not_200 = not_200 + 1 end
end

function done(summary, latency, requests)
  local refused = 0
  for _, thread in ipairs(threads) do refused = refused + thread:get("not_200") end
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"answered":%d,"not_200":%d,"socket_errors":%d,"timeouts":%d,"seconds":%.4f,"p50_ms":%.3f,"p99_ms":%.3f}\n',
    summary.requests, refused, errors.connect + errors.read + errors.write, errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
