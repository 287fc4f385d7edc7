-- Write: hold ARGV[1] in the hash KEYS[1] if it is at revision ARGV[2].
-- Answers the new revision, or minus the one that is held, less one: -1 for none.
local held = tonumber(redis.call('HGET', KEYS[1], 'revision') or '0')
if held ~= tonumber(ARGV[2]) then
  return -1 - held
end
redis.call('HSET', KEYS[1], 'record', ARGV[1], 'revision', held + 1)
return held + 1
