-- Settle: acks, nacks or dead-letters a message, if it still belongs to the consumer.
-- KEYS: stream, delayed, sequence, dead letters.
-- ARGV: queue, group, consumer, id, number of the delivery, channel of notifications, then one of
-- 'ack', 'nack' with milliseconds, 'dead_letter' with the reason and the maximum of dead letters.
-- Returns -1 if the message belongs to another consumer, otherwise the number of dropped dead
-- letters.
local stream, group, consumer, id = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local owned = redis.pcall('XPENDING', stream, group, id, id, 1, consumer)
if owned.err or #owned == 0 or owned[1][4] ~= tonumber(ARGV[5]) then
  return -1
end
local dropped = 0
local entries = ARGV[7] ~= 'ack' and redis.call('XRANGE', stream, id, id) or {}
if #entries > 0 then
  local fields = entries[1][2]
  if ARGV[7] == 'nack' then
    local has_attempt = false
    for i = 1, #fields, 2 do
      if fields[i] == 'arvo-attempt' then
        fields[i + 1], has_attempt = tostring((tonumber(fields[i + 1]) or 1) + 1), true
      end
    end
    if not has_attempt then
      fields[#fields + 1] = 'arvo-attempt'
      fields[#fields + 1] = '2'
    end
    local time = redis.call('TIME')
    local due = time[1] * 1000 + math.ceil(time[2] / 1000) + tonumber(ARGV[8])
    local number = string.format('%020.0f', redis.call('INCR', KEYS[3]))
    redis.call('ZADD', KEYS[2], string.format('%.0f', due), number .. cmsgpack.pack(fields))
    redis.call('PUBLISH', ARGV[6], ARGV[1])
  else
    if #fields > 1000 then
      -- More arguments than a call may have, so the entry was not written by Arvo.
      fields = {'packed', cmsgpack.pack(fields)}
    end
    fields[#fields + 1] = 'arvo-reason'
    fields[#fields + 1] = ARGV[8]
    redis.call('XADD', KEYS[4], '*', unpack(fields))
    dropped = redis.call('XTRIM', KEYS[4], 'MAXLEN', ARGV[9])
  end
end
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
return dropped
