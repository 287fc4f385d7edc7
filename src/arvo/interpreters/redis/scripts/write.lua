-- Write: stores ARGV[1] in the hash KEYS[1] if its revision is ARGV[2].
-- Returns the new revision; for another stored revision, -1 - that revision: -1 for none.
local stored = tonumber(redis.call('HGET', KEYS[1], 'revision') or '0')
if stored ~= tonumber(ARGV[2]) then
  return -1 - stored
end
redis.call('HSET', KEYS[1], 'record', ARGV[1], 'revision', stored + 1)
return stored + 1
