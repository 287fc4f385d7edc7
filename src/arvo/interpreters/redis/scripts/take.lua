-- Take: delivers the next message of a queue to a consumer.
-- KEYS: stream, delayed, timers, queues.
-- ARGV: queue, group, consumer, the consumer of returned entries, maximum of messages that become
-- ready at a time.
-- Returns {id, fields, number of the delivery}, or {milliseconds until a message is due; -1: none}.
local stream, group, consumer, returned = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

for at = 2, 3 do
  local due = redis.call('ZRANGEBYSCORE', KEYS[at], '-inf', now, 'LIMIT', 0, ARGV[5])
  for _, member in ipairs(due) do
    redis.call('XADD', stream, '*', unpack(cmsgpack.unpack(string.sub(member, 21))))
    redis.call('ZREM', KEYS[at], member)
  end
end

local pending = redis.pcall('XPENDING', stream, group, '-', '+', 1, returned)
if pending.err then
  -- There is no group: the queue is new, or an operator flushed the database.
  redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  redis.call('SADD', KEYS[4], ARGV[1])
  pending = {}
end
while #pending > 0 do
  local claimed = redis.call('XCLAIM', stream, group, consumer, 0, pending[1][1])
  if #claimed > 0 and claimed[1] then
    local owned = redis.call('XPENDING', stream, group, claimed[1][1], claimed[1][1], 1)
    return {claimed[1][1], claimed[1][2], owned[1][4]}
  end
  -- The entry was deleted from the stream.
  redis.call('XACK', stream, group, pending[1][1])
  pending = redis.call('XPENDING', stream, group, '-', '+', 1, returned)
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
    local milliseconds = math.max(0, tonumber(first[2]) - now)
    wait = wait < 0 and milliseconds or math.min(wait, milliseconds)
  end
end
return {wait}
