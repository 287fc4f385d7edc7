-- Settle: forget a message, put it off or put it aside, if it is still whose it was.
-- KEYS: stream, delayed, sequence, dead.
-- ARGV: address, group, consumer, id, how often it was handed out, channel of news, then one of
-- 'done', 'again' with milliseconds, 'dead' with the reason and the most that are kept.
-- Answers -1 where it is another's, else how many of the dead made way.
local stream, group, consumer, id = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local mine = redis.pcall('XPENDING', stream, group, id, id, 1, consumer)
if mine.err or #mine == 0 or mine[1][4] ~= tonumber(ARGV[5]) then
  return -1
end
local lost = 0
local found = ARGV[7] ~= 'done' and redis.call('XRANGE', stream, id, id) or {}
if #found > 0 then
  local fields = found[1][2]
  if ARGV[7] == 'again' then
    local counted = false
    for i = 1, #fields, 2 do
      if fields[i] == 'arvo-attempt' then
        fields[i + 1], counted = tostring(tonumber(fields[i + 1]) + 1), true
      end
    end
    if not counted then
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
      -- More than a call can be given, and surely none of ours.
      fields = {'packed', cmsgpack.pack(fields)}
    end
    fields[#fields + 1] = 'arvo-reason'
    fields[#fields + 1] = ARGV[8]
    redis.call('XADD', KEYS[4], '*', unpack(fields))
    lost = redis.call('XTRIM', KEYS[4], 'MAXLEN', ARGV[9])
  end
end
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
return lost
