-- Delete ended: deletes the rows and histories of workflows that changed before a time.
-- KEYS: a set of subjects by the time they changed. ARGV: prefix, time, number of workflows.
-- Returns how many were deleted.
local prefix = ARGV[1]
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[2], 'LIMIT', 0, ARGV[3])
for _, subject in ipairs(ended) do
  local row = prefix .. ':index-row:' .. subject
  local handler, id = unpack(redis.call('HMGET', row, 'handler', 'id'))
  redis.call('DEL', row, prefix .. ':index-history:' .. subject)
  redis.call('ZREM', KEYS[1], subject)
  redis.call('ZREM', KEYS[1] .. ':' .. (handler or ''), subject)
  if id and id ~= '' then
    redis.call('SREM', prefix .. ':index-id:' .. id, subject)
  end
end
return #ended
