-- Depth: count what is under way in all queues.
-- KEYS: queues. ARGV: prefix, group, who keeps what was given back.
-- Answers {ready, taken, delayed, timers}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ready, taken, delayed, timers = 0, 0, 0, 0
for _, address in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local queue = ARGV[1] .. ':queue:' .. address
  local later, due_at = ARGV[1] .. ':delayed:' .. address, ARGV[1] .. ':timers:' .. address
  local pending = redis.pcall('XPENDING', queue, ARGV[2])
  local hand = 0
  if not pending.err and pending[1] > 0 then
    for _, each in ipairs(pending[4]) do
      hand = hand + (each[1] ~= ARGV[3] and tonumber(each[2]) or 0)
    end
  end
  -- What is due is ready, though nobody has asked for it yet.
  local again = redis.call('ZCOUNT', later, '-inf', now)
  local due = redis.call('ZCOUNT', due_at, '-inf', now)
  ready = ready + redis.call('XLEN', queue) - hand + again + due
  taken = taken + hand
  delayed = delayed + redis.call('ZCARD', later) - again
  timers = timers + redis.call('ZCARD', due_at) - due
end
return {ready, taken, delayed, timers}
