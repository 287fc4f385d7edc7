-- Renew: renews the lease of a consumer, and returns the entries of consumers whose lease expired.
-- KEYS: those of the order. ARGV, after those of the order: lease in milliseconds, channel of
-- notifications, then the ids of the entries in flight.
local lease = tonumber(ARGV[4])
for i = 6, #ARGV do
  -- Only its own entries: XCLAIM alone would take an entry away from the consumer that has it now.
  local owned = redis.pcall('XPENDING', stream, group, ARGV[i], ARGV[i], 1, consumer)
  if not owned.err and #owned > 0 then
    redis.call('XCLAIM', stream, group, consumer, 0, ARGV[i], 'JUSTID')
  end
end
local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
if consumers.err then
  return 0
end
local freed = 0
for _, fields in ipairs(consumers) do
  local info = {}
  for i = 1, #fields, 2 do
    info[fields[i]] = fields[i + 1]
  end
  -- Not the entries that are returned, nacked or wait for their turn, for however long.
  if string.sub(info['name'], 1, 1) ~= '(' then
    local expired = redis.call('XPENDING', stream, group, 'IDLE', lease, '-', '+', 1000, info['name'])
    while #expired > 0 do
      for _, entry in ipairs(expired) do
        return_entry(entry[1])
      end
      freed = freed + #expired
      expired = redis.call('XPENDING', stream, group, 'IDLE', lease, '-', '+', 1000, info['name'])
    end
    -- A live consumer polls at least once a second. One with an entry in flight is never deleted,
    -- because the entry would be lost.
    local pending = redis.call('XPENDING', stream, group, '-', '+', 1, info['name'])
    if info['idle'] > 10 * lease and #pending == 0 then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, info['name'])
    end
  end
end
if freed > 0 then
  redis.call('PUBLISH', ARGV[5], queue)
end
return freed
