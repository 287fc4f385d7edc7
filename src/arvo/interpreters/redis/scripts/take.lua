-- Take: delivers the next entry of a queue whose key is free.
-- KEYS, after those of the order: delayed, timers, queues.
-- ARGV, after those of the order: maximum of entries that one call moves.
-- Returns a delivery (see the order), or {milliseconds until a message is due; -1: none}.
local moved_max = tonumber(ARGV[4])
if redis.pcall('XPENDING', stream, group, '-', '+', 1).err then
  -- There is no group: the queue is new, or an operator deleted it or flushed the database.
  redis.call('DEL', busy, waiting, nacked, nacks)
  redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  redis.call('SADD', KEYS[8], queue)
end

local now = now_milliseconds()
for at = 6, 7 do
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[at], '-inf', now, 'LIMIT', 0, moved_max)) do
    redis.call('XADD', stream, '*', unpack(cmsgpack.unpack(string.sub(member, 21))))
    redis.call('ZREM', KEYS[at], member)
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', nacked, '-inf', now, 'LIMIT', 0, moved_max)) do
  redis.call('ZREM', nacked, id)
  return_entry(id)
end

for _ = 1, moved_max do
  local returned = redis.call('XPENDING', stream, group, '-', '+', 1, RETURNED)[1]
  if not returned then
    break
  end
  local entry = redis.call('XRANGE', stream, returned[1], returned[1])[1]
  if not entry then
    return_entry(returned[1])
  else
    local key = key_of(entry[2])
    if take_turn(entry[1], key) then
      redis.call('XCLAIM', stream, group, consumer, 0, entry[1])
      return delivery(entry, key)
    end
  end
end

local is_empty = false
for _ = 1, moved_max do
  local read = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1, 'STREAMS', stream, '>')
  if not read then
    is_empty = true
    break
  end
  local entry = read[1][2][1]
  local key = key_of(entry[2])
  if take_turn(entry[1], key) then
    return delivery(entry, key)
  end
  redis.call('XCLAIM', stream, group, HELD, 0, entry[1], 'RETRYCOUNT', 0, 'JUSTID')
end

local wait = is_empty and -1 or 0
for _, set in ipairs({KEYS[6], KEYS[7], nacked}) do
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  if #first > 0 then
    local milliseconds = math.max(0, tonumber(first[2]) - now)
    wait = wait < 0 and milliseconds or math.min(wait, milliseconds)
  end
end
return {wait}
