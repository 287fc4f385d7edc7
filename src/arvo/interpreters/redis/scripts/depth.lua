-- Depth: counts the messages of all queues.
-- KEYS: the set of queues. ARGV: prefix, group, the consumer of returned entries.
-- Returns {ready, taken, delayed, timers}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ready, taken, delayed, timers = 0, 0, 0, 0
for _, address in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local queue = ARGV[1] .. ':queue:' .. address
  local delayed_key, timers_key = ARGV[1] .. ':delayed:' .. address, ARGV[1] .. ':timers:' .. address
  local pending = redis.pcall('XPENDING', queue, ARGV[2])
  local in_flight = 0
  if not pending.err and pending[1] > 0 then
    for _, consumer in ipairs(pending[4]) do
      in_flight = in_flight + (consumer[1] ~= ARGV[3] and tonumber(consumer[2]) or 0)
    end
  end
  -- A message that is due is ready, though no consumer has asked for it yet.
  local delayed_due = redis.call('ZCOUNT', delayed_key, '-inf', now)
  local timers_due = redis.call('ZCOUNT', timers_key, '-inf', now)
  ready = ready + redis.call('XLEN', queue) - in_flight + delayed_due + timers_due
  taken = taken + in_flight
  delayed = delayed + redis.call('ZCARD', delayed_key) - delayed_due
  timers = timers + redis.call('ZCARD', timers_key) - timers_due
end
return {ready, taken, delayed, timers}
