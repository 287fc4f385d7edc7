-- Index: stores the row of a workflow in place of one of a lower revision, and new blocks of its
-- history.
-- KEYS: row, history. ARGV: prefix, subject, handler, status, revision, began, changed, workflow id,
-- labels, version, then the position, the length and the content of each block.
local row, history = KEYS[1], KEYS[2]
local prefix, subject, handler, status, revision = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local changed, id = ARGV[7], ARGV[8]
local stored = redis.call('HMGET', row, 'revision', 'status', 'length')
local length = tonumber(stored[3] or '0')
for i = 11, #ARGV, 3 do
  local position = tonumber(ARGV[i])
  if position >= length then
    length = position + tonumber(ARGV[i + 1])
    -- An id of 0 is no id.
    local entry = string.format('%d-0', position + 1)
    redis.call('XADD', history, entry, 'length', ARGV[i + 1], 'content', ARGV[i + 2])
    redis.call('HSET', row, 'length', length)
  end
end
if tonumber(stored[1] or '0') >= tonumber(revision) then
  return 0
end
if stored[2] and stored[2] ~= status then
  redis.call('ZREM', prefix .. ':index:' .. stored[2], subject)
  redis.call('ZREM', prefix .. ':index:' .. stored[2] .. ':' .. handler, subject)
end
redis.call('ZADD', prefix .. ':index:' .. status, changed, subject)
redis.call('ZADD', prefix .. ':index:' .. status .. ':' .. handler, changed, subject)
if id ~= '' and not stored[1] then
  redis.call('SADD', prefix .. ':index-id:' .. id, subject)
end
redis.call('HSET', row, 'handler', handler, 'status', status, 'revision', revision,
  'began', ARGV[6], 'changed', changed, 'id', id, 'labels', ARGV[9], 'version', ARGV[10])
return 1
