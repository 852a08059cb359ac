-- The slot's call has ended. call: token, succeeded, and `used` tokens where they are known.

local slot = read_slot(call.token)
if not slot then
  return 'null'
end

local function free(bucket)
  redis.call('ZREM', place(bucket.name, ':held'), call.token)
  if call.used and bucket.limits.tokens_per_minute > 0 then
    add_tokens(bucket.name, slot.at, call.used - slot.tokens)
  end
end

-- What was half open is open again, and ramps up.
local function recover(bucket, cooldown)
  cooldown.ends, cooldown.recovered = 0, now
  redis.call('HSET', place(bucket, ''), 'ramp_from', now)
  redis.call('PEXPIRE', place(bucket, ''), DAY)
  redis.call('DEL', OPENS)
end

local function end_probe(bucket)
  local cooldown = read_cooldown(bucket)
  if cooldown and cooldown.probe == call.token then
    cooldown.probe = nil
    if call.succeeded then
      recover(bucket, cooldown)
    end
    keep_cooldown(bucket, cooldown)
  end
end

-- As key_record.py reads it.
local function note_answered(key)
  local record = '{llm}:record:' .. string.sub(key, 3)
  redis.call('HINCRBY', record, 'succeeded', 1)
  redis.call('HDEL', record, 'in_a_row')
end

for _, bucket in ipairs(slot.buckets) do
  free(bucket)
end
if call.succeeded then
  note_answered(slot.buckets[2].name)
end
for _, bucket in ipairs(buckets_of(slot)) do
  end_probe(bucket)
end
redis.call('DEL', slot_place(call.token))
return 'null'
