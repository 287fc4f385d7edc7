-- Leave: returns the entries that a consumer has in flight, and deletes the consumer.
-- KEYS: those of the order. ARGV, after those of the order: channel of notifications.
local pending = redis.pcall('XPENDING', stream, group, '-', '+', 1000, consumer)
if pending.err then
  return 0
end
while #pending > 0 do
  for _, entry in ipairs(pending) do
    return_entry(entry[1])
  end
  pending = redis.call('XPENDING', stream, group, '-', '+', 1000, consumer)
end
redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
redis.call('PUBLISH', ARGV[4], queue)
return 1
