-- Publish: adds messages to one queue, if it has room for all of them.
-- KEYS: stream, delayed, timers, queues, sequence.
-- ARGV: queue, maximum of messages, channel of notifications; then for each message the time it is
-- due in milliseconds ('' for at once), the number of its fields and values, and these.
-- Returns 1, or 0 if there is no room.
local stored = redis.call('XLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3])
local at, count = 4, 0
while at <= #ARGV do
  at, count = at + 2 + tonumber(ARGV[at + 1]), count + 1
end
if stored + count > tonumber(ARGV[2]) then
  return 0
end
redis.call('SADD', KEYS[4], ARGV[1])
at = 4
while at <= #ARGV do
  local due, size, fields = ARGV[at], tonumber(ARGV[at + 1]), {}
  for i = 1, size do
    fields[i] = ARGV[at + 1 + i]
  end
  if due == '' then
    redis.call('XADD', KEYS[1], '*', unpack(fields))
  else
    -- A sequence number, because two equal messages are two members, and stay in their order.
    local number = string.format('%020.0f', redis.call('INCR', KEYS[5]))
    redis.call('ZADD', KEYS[3], due, number .. cmsgpack.pack(fields))
  end
  at = at + 2 + size
end
redis.call('PUBLISH', ARGV[3], ARGV[1])
return 1
