-- Asks for a token with the next client of CLIENTS each time: one "id:secret" in base64 a line.
local requests, position = {}, 0

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

function done(summary, latency, requests)
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "failed": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
      + summary.errors.timeout))
end
