-- Whether the slot's call may be sent now. What was booked ahead was a plan; this is the check that is strict, of what has
-- been sent up to this moment, so that a thread that wakes late sends nothing too soon after others.
-- call: token. Its slot is moved to now, or to the moment until which it has to wait.

local slot = read_slot(call.token)
if not slot then
  return cjson.encode({reason = 'slot_lost', soonest = 0})
end

-- Why the slot is worth nothing any more, and for how long nobody need try again.
local function lost_to()
  if slot.version ~= version then
    return 'pool_changed', 0
  end
  if slot.lease_ends <= now then
    return 'slot_lost', 0
  end
  for _, bucket in ipairs(buckets_of(slot)) do
    local cooldown = read_cooldown(bucket)
    if cooldown and cooldown.ends > 0 and cooldown.probe ~= call.token then
      return 'cooling', math.max(cooldown.ends - now, 0)
    end
  end
end

local reason, soonest = lost_to()
if reason then
  release(call.token, slot)
  return cjson.encode({reason = reason, soonest = soonest})
end

local function bucket_opens_at(bucket)
  local name, limits, at = bucket.name, bucket.limits, 0
  if is_rate_limited(limits) then
    local count = redis.call('ZCOUNT', place(name, ':sent'), '-inf', now)
    at = calls_open_at(name, limits, count, limits.per_second > 0 and share_of(name) or 1)
  end
  if limits.tokens_per_minute > 0 then
    at = math.max(at, tokens_open_at(name, limits.tokens_per_minute, slot.tokens, math.floor(now / SECOND)))
  end
  return at
end

-- A probe holds its place for as long as its call.
local function prolong_probe()
  for _, bucket in ipairs(buckets_of(slot)) do
    local cooldown = read_cooldown(bucket)
    if cooldown and cooldown.probe == call.token then
      cooldown.probe_ends = slot.lease_ends
      keep_cooldown(bucket, cooldown)
    end
  end
end

unbook(call.token, slot)
slot.at = math.max(slot.at, now, bucket_opens_at(slot.buckets[1]), bucket_opens_at(slot.buckets[2]))
slot.begun = slot.at == now and now or 0
slot.lease_ends = slot.at + slot.lease
book(call.token, slot)
keep_slot(call.token, slot)
prolong_probe()
return cjson.encode({wait = slot.at - now})
