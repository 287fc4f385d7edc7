-- Settle: acks, nacks, defers or dead-letters an entry, if it still belongs to the consumer.
-- KEYS, after those of the order: delayed, sequence, dead letters.
-- ARGV, after those of the order: id, number of the delivery, key, channel of notifications, 1 if the
-- caller delivers another entry, then one of 'ack', 'nack' or 'defer' with milliseconds and the attempt
-- of a new entry, 'dead_letter' with the reason and the maximum of dead letters.
-- Returns {-1} if the entry belongs to another consumer, otherwise the number of dropped dead letters
-- and the delivery of the next entry of the key, if there is one: it goes to the same consumer, which
-- has the workflow's record at hand, and no other one has to be woken.
local id, key, channel, how = ARGV[4], ARGV[6], ARGV[7], ARGV[9]
local owned = redis.pcall('XPENDING', stream, group, id, id, 1, consumer)
if owned.err or #owned == 0 or owned[1][4] ~= tonumber(ARGV[5]) then
  return {-1}
end
local has_turn = key ~= '' and redis.call('HGET', busy, key) == id
local dropped = 0
local entry = how ~= 'ack' and redis.call('XRANGE', stream, id, id)[1]
if entry and (how == 'nack' or how == 'defer') then
  local due = string.format('%.0f', now_milliseconds() + 1 + tonumber(ARGV[10]))
  redis.call('PUBLISH', channel, queue)
  if has_turn and how == 'nack' then
    -- It stays in its place, and holds back the others of its key.
    redis.call('HINCRBY', nacks, id, 1)
    redis.call('ZADD', nacked, due, id)
    redis.call('XCLAIM', stream, group, HELD, 0, id, 'JUSTID')
    return {0}
  end
  local fields, has_attempt = entry[2], false
  for i = 1, #fields, 2 do
    if fields[i] == 'arvo-attempt' then
      fields[i + 1], has_attempt = ARGV[11], true
    end
  end
  if not has_attempt then
    fields[#fields + 1] = 'arvo-attempt'
    fields[#fields + 1] = ARGV[11]
  end
  local number = string.format('%020.0f', redis.call('INCR', KEYS[7]))
  redis.call('ZADD', KEYS[6], due, number .. cmsgpack.pack(fields))
elseif entry then
  local fields = entry[2]
  if #fields > 1000 then
    -- More arguments than a call may have, so the entry was not written by Arvo.
    fields = {'packed', cmsgpack.pack(fields)}
  end
  fields[#fields + 1] = 'arvo-reason'
  fields[#fields + 1] = ARGV[10]
  redis.call('XADD', KEYS[8], '*', unpack(fields))
  dropped = redis.call('XTRIM', KEYS[8], 'MAXLEN', ARGV[11])
end
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
local is_handed_over = ARGV[8] == '1'
local next_entry = has_turn and end_turn(id, key, is_handed_over and consumer or RETURNED)
if next_entry and is_handed_over then
  return {dropped, unpack(delivery(next_entry, key))}
elseif next_entry then
  redis.call('PUBLISH', channel, queue)
end
return {dropped}
