-- Lets rest whom a failed call concerns. Each cooldown in a row is twice as long as the one before.
-- call: token of the failed call; rests, of which each has a bucket and a base; shortest, longest, jitter, retry_after, why.
-- Where nobody knows whom it concerns, also `key` and `most`: what the call probed rests or, at so many such failures of
-- the key in a row, the key, which comes last.

local slot = read_slot(call.token)
-- A call that failed before it began is of the episode in which it was reserved.
local begun = slot and (slot.begun > 0 and slot.begun or slot.reserved) or 0

local function rest(bucket, base)
  local before = read_cooldown(bucket) or {ends = 0, began = 0, streak = 0, recovered = 0}
  local streak, began = streak_of(before), before.began
  if streak == 0 or begun > began then
    streak, began = streak + 1, now
  end
  local lasts = math.floor(base * 2 ^ math.min(streak - 1, 30) * call.jitter)
  lasts = math.max(call.shortest, math.min(call.longest, lasts))
  local ends = math.max(before.ends, now + lasts, now + call.retry_after)
  keep_cooldown(bucket, {ends = ends, began = began, streak = streak, recovered = 0, reason = call.why})
  return (ends - now) / SECOND
end

local function fails_too_often()
  local record = record_place(call.key)
  if redis.call('HINCRBY', record, 'in_a_row', 1) < call.most then
    return false
  end
  return redis.call('HDEL', record, 'in_a_row') > 0
end

local function concerned()
  if not call.most then
    return call.rests
  end
  local probed = {}
  for _, each in ipairs(call.rests) do
    local cooldown = read_cooldown(each.bucket)
    if cooldown and cooldown.probe == call.token then
      probed[#probed + 1] = each
    end
  end
  if #probed == 0 and fails_too_often() then
    return {call.rests[#call.rests]}
  end
  return probed
end

local seconds = 0
for _, each in ipairs(concerned()) do
  seconds = math.max(seconds, rest(each.bucket, each.base))
end
return cjson.encode({seconds = seconds})
