-- Each cooldown in a row is twice as long as the one before. call: token of the failed call, bucket, base, jitter, retry_after, why.

local SHORTEST, LONGEST = 10000, 120000

local before = read_cooldown(call.bucket) or {ends = 0, began = 0, streak = 0, recovered = 0}
local slot = read_slot(call.token)
-- A call that failed before it began is of the episode in which it was reserved.
local begun = slot and (slot.begun > 0 and slot.begun or slot.reserved) or 0

local streak, began = streak_of(before), before.began
if streak == 0 or begun > began then
  streak, began = streak + 1, now
end
local rest = math.max(SHORTEST, math.min(LONGEST, math.floor(call.base * 2 ^ math.min(streak - 1, 30) * call.jitter)))
local ends = math.max(before.ends, now + rest, now + call.retry_after)

keep_cooldown(call.bucket, {ends = ends, began = began, streak = streak, recovered = 0, reason = call.why})
return cjson.encode({seconds = (ends - now) / SECOND})
