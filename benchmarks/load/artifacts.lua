-- GET one file, or with FILE set PUT it under ever new names; prints one line of JSON at the end, after the mark RESULT.
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

not_200 = 0
count = 0

function init(args)
  local name = os.getenv("FILE")
  if name then
    local file = io.open(name, "rb")
    wrk.method = "PUT"
    wrk.body = file:read("*a")
    file:close()
    base = wrk.path
    function request()
      count = count + 1
      return wrk.format(nil, base .. "-" .. number .. "-" .. count)
    end
  end
end

function response(status, headers, body)
  if status ~= 200 and status ~= 201 and status ~= 204 then not_200 = not_200 + 1 end
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
