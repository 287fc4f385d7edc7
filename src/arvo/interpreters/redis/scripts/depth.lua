-- Depth: counts the messages of all queues.
-- KEYS: the set of queues. ARGV: prefix, group.
-- Returns {ready, taken, delayed, timers}. An entry that waits for its turn is ready.
local now = now_milliseconds()
local ready, taken, delayed, timers = 0, 0, 0, 0
for _, address in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local function key(kind)
    return ARGV[1] .. ':' .. kind .. ':' .. address
  end
  local pending = redis.pcall('XPENDING', key('queue'), ARGV[2])
  local in_flight = 0
  if not pending.err and pending[1] > 0 then
    for _, owner in ipairs(pending[4]) do
      if owner[1] ~= RETURNED and owner[1] ~= HELD then
        in_flight = in_flight + tonumber(owner[2])
      end
    end
  end
  -- A message that is due is ready, though no consumer has asked for it yet.
  local nacked_later = redis.call('ZCOUNT', key('nacked'), '(' .. now, '+inf')
  local delayed_later = redis.call('ZCOUNT', key('delayed'), '(' .. now, '+inf')
  local timers_later = redis.call('ZCOUNT', key('timers'), '(' .. now, '+inf')
  local stored = redis.call('XLEN', key('queue')) + redis.call('ZCARD', key('delayed'))
  stored = stored + redis.call('ZCARD', key('timers'))
  ready = ready + stored - in_flight - nacked_later - delayed_later - timers_later
  taken = taken + in_flight
  delayed = delayed + nacked_later + delayed_later
  timers = timers + timers_later
end
return {ready, taken, delayed, timers}
