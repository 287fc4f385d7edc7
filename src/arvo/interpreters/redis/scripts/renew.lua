-- Renew: say that a consumer lives, and take from those that do not.
-- KEYS: stream. ARGV: address, group, consumer, who keeps what was given back, lease in
-- milliseconds, channel of news, then the ids that the consumer has in hand.
local stream, group, consumer, back, lease = KEYS[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
for i = 7, #ARGV do
  -- Only what is still its own: XCLAIM by itself would take it back from whoever has it now.
  local mine = redis.pcall('XPENDING', stream, group, ARGV[i], ARGV[i], 1, consumer)
  if not mine.err and #mine > 0 then
    redis.call('XCLAIM', stream, group, consumer, 0, ARGV[i], 'JUSTID')
  end
end
local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
if consumers.err then
  return 0
end
local at, freed = '0-0', 0
repeat
  local found = redis.call('XAUTOCLAIM', stream, group, back, lease, at, 'COUNT', 100, 'JUSTID')
  at, freed = found[1], freed + #found[2]
until at == '0-0'
if freed > 0 then
  redis.call('PUBLISH', ARGV[6], ARGV[1])
end
for _, each in ipairs(consumers) do
  local said = {}
  for i = 1, #each, 2 do
    said[each[i]] = each[i + 1]
  end
  -- Those that live ask at least once a second. Never one that has something in hand: it would be lost.
  local pending = redis.call('XPENDING', stream, group, '-', '+', 1, said['name'])
  if said['name'] ~= back and said['idle'] > 10 * lease and #pending == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, said['name'])
  end
end
return freed
