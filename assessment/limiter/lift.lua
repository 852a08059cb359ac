-- Lets a bucket be used again at once, ramping up; whether it was cooling. call: bucket.

local cooldown = read_cooldown(call.bucket)
redis.call('HDEL', COOLDOWNS, call.bucket)
local did_cool = cooldown and cooldown.ends > 0 or false
if did_cool then
  ramp_up(call.bucket)
end
return cjson.encode(did_cool)
