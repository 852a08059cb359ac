-- The slot's call has ended. call: token, succeeded, works where its account answered as it should, whether or not there
-- was an answer to the question, and `used` tokens where they are known.

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
  ramp_up(bucket)
end

local function end_probe(bucket)
  local cooldown = read_cooldown(bucket)
  if cooldown and cooldown.probe == call.token then
    cooldown.probe = nil
    if call.works then
      recover(bucket, cooldown)
    end
    keep_cooldown(bucket, cooldown)
  end
end

for _, bucket in ipairs(slot.buckets) do
  free(bucket)
end
redis.call('HINCRBY', record_of(slot), call.succeeded and 'succeeded' or 'failed', 1)
if call.works then
  redis.call('HDEL', record_of(slot), 'in_a_row')
end
for _, bucket in ipairs(buckets_of(slot)) do
  end_probe(bucket)
end
redis.call('DEL', slot_place(call.token))
return 'null'
