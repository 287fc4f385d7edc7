-- Renew: renews the lease of a consumer, and returns the entries of consumers whose lease expired.
-- KEYS: stream. ARGV: queue, group, consumer, the consumer of returned entries, lease in
-- milliseconds, channel of notifications, then the ids of the entries in flight.
local stream, group, consumer, returned, lease = KEYS[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
for i = 7, #ARGV do
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
local at, freed = '0-0', 0
repeat
  local claimed = redis.call('XAUTOCLAIM', stream, group, returned, lease, at, 'COUNT', 100, 'JUSTID')
  at, freed = claimed[1], freed + #claimed[2]
until at == '0-0'
if freed > 0 then
  redis.call('PUBLISH', ARGV[6], ARGV[1])
end
for _, fields in ipairs(consumers) do
  local info = {}
  for i = 1, #fields, 2 do
    info[fields[i]] = fields[i + 1]
  end
  -- A live consumer polls at least once a second. One with an entry in flight is never deleted,
  -- because the entry would be lost.
  local pending = redis.call('XPENDING', stream, group, '-', '+', 1, info['name'])
  if info['name'] ~= returned and info['idle'] > 10 * lease and #pending == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, info['name'])
  end
end
return freed
