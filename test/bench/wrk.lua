-- Short requests at a steady pace, counted request by request: `wrk -t1 … -s wrk.lua URL -- PAUSE_MS CONNECTION STOP_FILE`.
-- Each connection pauses PAUSE_MS on average between requests; CONNECTION is the header's value. When STOP_FILE is
-- there no more requests are sent, so that one which is still unanswered at the end has been lost: wrk itself would
-- not count it. Prints a line of JSON. https://github.com/wg/wrk/blob/4.1.0/SCRIPTING

local threads = {}
local pause_ms, stop_file = 0, nil

sent = -1 -- wrk asks for one more, to look at it
other_pages = 0
statuses = {}
first_failure = 0
last_failure = 0

local function failed()
   last_failure = os.time()
   if first_failure == 0 then first_failure = last_failure end
end

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   pause_ms, stop_file = tonumber(args[1]), args[3]
   wrk.headers["Connection"] = args[2]
   math.randomseed(os.time())
end

function delay()
   local file = io.open(stop_file)
   if file then
      file:close()
      return 3600 * 1000
   end
   return math.floor(pause_ms * (0.5 + math.random()))
end

function request()
   sent = sent + 1
   return wrk.request()
end

function response(status, headers)
   if status ~= 200 then
      failed()
      local key = tostring(status)
      statuses[key] = (statuses[key] or 0) + 1
   elseif not headers["x-server"] then
      -- The site's own pages say which server they are from: this is some other page, such as nginx's default.
      failed()
      other_pages = other_pages + 1
   end
end

function done(summary, latency)
   local thread = threads[1]
   local by_status = {}
   for status, count in pairs(thread:get("statuses")) do
      table.insert(by_status, string.format('"%s":%d', status, count))
   end
   local errors = summary.errors
   print(string.format(
      '{"sent":%d,"answered":%d,"connect":%d,"read":%d,"write":%d,"slow":%d,"statuses":{%s},"otherPages":%d,'
         .. '"firstFailure":%d,"lastFailure":%d,"p50Ms":%.2f,"p99Ms":%.2f,"maxMs":%.2f}',
      thread:get("sent"), summary.requests, errors.connect, errors.read, errors.write, errors.timeout,
      table.concat(by_status, ","), thread:get("other_pages"),
      thread:get("first_failure"), thread:get("last_failure"),
      latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
