-- Take: hand the next message of a queue to a consumer.
-- KEYS: stream, delayed, timers, queues.
-- ARGV: address, group, consumer, who keeps what was given back, most to be moved at a time.
-- Answers {id, fields, how often it was handed out}, or {milliseconds until more is due, -1: never}.
local stream, group, consumer, back = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

for at = 2, 3 do
  local due = redis.call('ZRANGEBYSCORE', KEYS[at], '-inf', now, 'LIMIT', 0, ARGV[5])
  for _, member in ipairs(due) do
    redis.call('XADD', stream, '*', unpack(cmsgpack.unpack(string.sub(member, 21))))
    redis.call('ZREM', KEYS[at], member)
  end
end

local left = redis.pcall('XPENDING', stream, group, '-', '+', 1, back)
if left.err then
  -- The first time, or after somebody has flushed the database.
  redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  redis.call('SADD', KEYS[4], ARGV[1])
  left = {}
end
while #left > 0 do
  local claimed = redis.call('XCLAIM', stream, group, consumer, 0, left[1][1])
  if #claimed > 0 and claimed[1] then
    local mine = redis.call('XPENDING', stream, group, claimed[1][1], claimed[1][1], 1)
    return {claimed[1][1], claimed[1][2], mine[1][4]}
  end
  -- Somebody has deleted it from the stream.
  redis.call('XACK', stream, group, left[1][1])
  left = redis.call('XPENDING', stream, group, '-', '+', 1, back)
end

local read = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1, 'STREAMS', stream, '>')
if read then
  local entry = read[1][2][1]
  return {entry[1], entry[2], 1}
end

local wait = -1
for at = 2, 3 do
  local first = redis.call('ZRANGE', KEYS[at], 0, 0, 'WITHSCORES')
  if #first > 0 then
    local left_over = math.max(0, tonumber(first[2]) - now)
    wait = wait < 0 and left_over or math.min(wait, left_over)
  end
end
return {wait}
