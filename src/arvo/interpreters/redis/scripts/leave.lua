-- Leave: returns the entries that a consumer has in flight, and deletes the consumer.
-- KEYS: stream. ARGV: queue, group, consumer, the consumer of returned entries, channel of
-- notifications.
local stream, group, consumer, returned = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local pending = redis.pcall('XPENDING', stream, group, '-', '+', 1000, consumer)
if pending.err then
  return 0
end
while #pending > 0 do
  for _, entry in ipairs(pending) do
    redis.call('XCLAIM', stream, group, returned, 0, entry[1], 'JUSTID')
    -- An entry that was deleted from the stream cannot be claimed.
    if #redis.call('XRANGE', stream, entry[1], entry[1]) == 0 then
      redis.call('XACK', stream, group, entry[1])
    end
  end
  pending = redis.call('XPENDING', stream, group, '-', '+', 1000, consumer)
end
redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
redis.call('PUBLISH', ARGV[5], ARGV[1])
return 1
