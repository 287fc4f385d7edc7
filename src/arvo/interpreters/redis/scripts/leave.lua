-- Leave: give back all that a consumer has in hand, and forget the consumer.
-- KEYS: stream. ARGV: address, group, consumer, who keeps what was given back, channel of news.
local stream, group, consumer, back = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local mine = redis.pcall('XPENDING', stream, group, '-', '+', 1000, consumer)
if mine.err then
  return 0
end
while #mine > 0 do
  for _, each in ipairs(mine) do
    redis.call('XCLAIM', stream, group, back, 0, each[1], 'JUSTID')
    -- What was deleted from the stream cannot be claimed.
    if #redis.call('XRANGE', stream, each[1], each[1]) == 0 then
      redis.call('XACK', stream, group, each[1])
    end
  end
  mine = redis.call('XPENDING', stream, group, '-', '+', 1000, consumer)
end
redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
redis.call('PUBLISH', ARGV[5], ARGV[1])
return 1
