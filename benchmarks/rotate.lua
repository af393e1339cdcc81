-- Asks for a token with the next client of CLIENTS each time: one "id:secret" in base64 a line.
-- With EXPECT_JWT, a response without a JWT has failed; wrk is slower then.
local requests, position = {}, 0
local threads = {}
local JWT = '"access_token": ?"eyJ[%w_-]+%.[%w_-]+%.[%w_-]+"'
without_jwt = 0

function setup(thread)
  threads[#threads + 1] = thread
end

function init(arguments)
  local headers = wrk.headers
  headers["Content-Type"] = "application/x-www-form-urlencoded"
  headers["Host"] = os.getenv("HOST_NAME")
  headers["X-Forwarded-Proto"] = "https"
  headers["X-Forwarded-For"] = "192.0.2.1"
  for credentials in io.lines(os.getenv("CLIENTS")) do
    headers["Authorization"] = "Basic " .. credentials
    requests[#requests + 1] = wrk.format("POST", nil, headers, "grant_type=client_credentials")
  end
end

function request()
  position = position % #requests + 1
  return requests[position]
end

if os.getenv("EXPECT_JWT") == "1" then
  function response(status, headers, body)
    if status == 200 and not body:find(JWT) then
      without_jwt = without_jwt + 1
    end
  end
end

function done(summary, latency, requests)
  local wrong = 0
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("without_jwt")
  end
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "failed": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
      + summary.errors.timeout + wrong))
end
