-- Order: the functions by which the scripts deliver the entries of one key one at a time, in order.
-- It precedes each of the other scripts.
-- KEYS: stream, busy, waiting, nacked, nacks, then those of the script.
-- ARGV: queue, group, consumer, then those of the script.
-- busy: a hash of each key to the id of the entry that has its turn: it is in flight, returned or
-- nacked. waiting: a set of the other entries of these keys that were read, each as its key, its id
-- in a form that sorts, and its id. nacked: the ids of nacked entries by the time they are due.
-- nacks: a hash of their ids to how often they were nacked.
-- The server counts the deliveries of an entry. An entry that is read, but waits, is not delivered.
local stream, busy, waiting, nacked, nacks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local queue, group, consumer = ARGV[1], ARGV[2], ARGV[3]
-- The consumers that own the returned entries until another one takes them, and the entries that are
-- nacked or wait for their turn. The names of other consumers have no parentheses.
local RETURNED, HELD = '(returned)', '(held)'

local function now_milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Returns the key of an entry, '' for none. Other programs do not write it, so it is made as
-- `ordering_key` and `key_token` in delivery/brokers/ordering.py make it.
local function key_of(fields)
  local values = {}
  for i = 1, #fields, 2 do
    values[fields[i]] = fields[i + 1]
  end
  local text = values['arvo-key']
  if values['arvo-order'] then
    return values['arvo-order']
  elseif string.sub(queue, 1, 1) == '(' or values['arvo-due'] or text == '*' then
    return ''
  elseif text then
    text = string.gsub(text, '%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end)
  else
    local is_json, event = pcall(cjson.decode, values['event'] or '')
    text = is_json and type(event) == 'table' and event['subject']
  end
  return type(text) == 'string' and string.sub(redis.sha1hex(text), 1, 16) or ''
end

-- Gives an entry its turn, unless another one of its key has it: then it waits. Returns whether it
-- has its turn.
local function take_turn(id, key)
  local owner = key ~= '' and redis.call('HGET', busy, key)
  if key == '' or owner == id then
    return true
  elseif not owner then
    redis.call('HSET', busy, key, id)
    return true
  end
  local milliseconds, number = string.match(id, '(%d+)-(%d+)')
  local sorted = string.rep('0', 20 - #milliseconds) .. milliseconds .. string.rep('0', 20 - #number) .. number
  redis.call('ZADD', waiting, 0, key .. ':' .. sorted .. ':' .. id)
  redis.call('XCLAIM', stream, group, HELD, 0, id, 'JUSTID')
  return false
end

-- Ends the turn of an entry, and gives it to the next one of its key, which then belongs to *owner*.
-- Returns that entry, nil for none.
local function end_turn(id, key, owner)
  redis.call('HDEL', nacks, id)
  redis.call('HDEL', busy, key)
  while true do
    local first = redis.call('ZRANGEBYLEX', waiting, '[' .. key .. ':', '(' .. key .. ';', 'LIMIT', 0, 1)[1]
    if not first then
      return nil
    end
    redis.call('ZREM', waiting, first)
    local next_id = string.match(first, '[^:]*$')
    local entry = redis.call('XRANGE', stream, next_id, next_id)[1]
    if entry then
      redis.call('HSET', busy, key, next_id)
      if owner == RETURNED then
        redis.call('XCLAIM', stream, group, owner, 0, next_id, 'JUSTID')
      else
        redis.call('XCLAIM', stream, group, owner, 0, next_id)
      end
      return entry
    end
    -- It was deleted from the stream.
    redis.call('XACK', stream, group, next_id)
  end
end

-- Makes an entry ready for any consumer.
local function return_entry(id)
  if #redis.call('XRANGE', stream, id, id) > 0 then
    redis.call('XCLAIM', stream, group, RETURNED, 0, id, 'JUSTID')
    return
  end
  -- It was deleted from the stream, and does not tell its key.
  redis.call('XACK', stream, group, id)
  local owners = redis.call('HGETALL', busy)
  for i = 2, #owners, 2 do
    if owners[i] == id then
      end_turn(id, owners[i - 1], RETURNED)
    end
  end
end

-- Returns {id, fields, number of the delivery, number of its nacks, key} for an entry that
-- belongs to a consumer.
local function delivery(entry, key)
  local owned = redis.call('XPENDING', stream, group, entry[1], entry[1], 1)
  local nacked_times = tonumber(redis.call('HGET', nacks, entry[1]) or '0')
  return {entry[1], entry[2], owned[1][4], nacked_times, key}
end

