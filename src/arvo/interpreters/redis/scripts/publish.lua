-- Publish: adds messages to one queue, if it has room for all of them.
-- KEYS: stream, delayed, timers, queues, sequence.
-- ARGV: queue, maximum of messages, channel of notifications, milliseconds; then for each message the
-- time it is due in milliseconds ('' for at once), a key ('' for none), the number of its fields and
-- values, and these. A message whose key was there in the last milliseconds is stored already.
-- Returns 1, or 0 if there is no room.
local stored = redis.call('XLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3])
local at, count = 5, 0
while at <= #ARGV do
  at, count = at + 3 + tonumber(ARGV[at + 2]), count + 1
end
if stored + count > tonumber(ARGV[2]) then
  return 0
end
redis.call('SADD', KEYS[4], ARGV[1])
at = 5
while at <= #ARGV do
  local due, known, size, fields = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), {}
  for i = 1, size do
    fields[i] = ARGV[at + 2 + i]
  end
  if known ~= '' and not redis.call('SET', known, '', 'NX', 'PX', ARGV[4]) then
    -- The same message was published before.
  elseif due == '' then
    redis.call('XADD', KEYS[1], '*', unpack(fields))
  else
    -- A sequence number, because two equal messages are two members, and stay in their order.
    local number = string.format('%020.0f', redis.call('INCR', KEYS[5]))
    redis.call('ZADD', KEYS[3], due, number .. cmsgpack.pack(fields))
  end
  at = at + 3 + size
end
redis.call('PUBLISH', ARGV[3], ARGV[1])
return 1
