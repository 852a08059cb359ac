-- How each key of the pool stands. ARGV[2] is the pool as for reserve.lua.

local pool = cjson.decode(ARGV[2])

-- The cooldown that lasts longest of those the key is subject to, and the longest streak.
local function cooldown_of(row)
  local longest, streak = {ends = 0, reason = ''}, 0
  for _, bucket in ipairs({'m', pool.buckets[pool.account_bucket[row]], 'k:' .. pool.keys[row]}) do
    local cooldown = read_cooldown(bucket)
    if cooldown then
      streak = math.max(streak, streak_of(cooldown))
      longest = cooldown.ends > longest.ends and cooldown or longest
    end
  end
  return longest, streak
end

local function used(bucket, span)
  return redis.call('ZCOUNT', place(bucket, ':sent'), '(' .. (now - span), now)
end

-- The bucket whose limit tells: the key's own where it has one of that kind, else its account's.
local function limited_bucket(row, limits)
  local own = pool.key_bucket[row]
  local limited = own > 0 and limits[own] > 0 and own or pool.account_bucket[row]
  return pool.buckets[limited], limits[limited]
end

local function standing_of(row)
  local second, limit_second = limited_bucket(row, pool.per_second)
  local minute, limit_minute = limited_bucket(row, pool.per_minute)
  local tokens, limit_tokens = limited_bucket(row, pool.tokens_per_minute)
  local _, tokens_minute = tokens_spent(tokens, math.floor(now / SECOND))
  local cooldown, streak = cooldown_of(row)
  return {
    cooling = cooldown.ends > 0,
    reason = cooldown.reason,
    seconds = math.max(cooldown.ends - now, 0) / SECOND,
    streak = streak,
    in_flight = in_flight('k:' .. pool.keys[row]),
    used_second = used(second, SECOND),
    used_minute = used(minute, MINUTE),
    tokens_minute = tokens_minute,
    limit_second = limit_second,
    limit_minute = limit_minute,
    limit_tokens = limit_tokens,
  }
end

local standings = {}
for row = 1, #pool.keys do
  standings[row] = standing_of(row)
end
return #standings > 0 and cjson.encode(standings) or '[]'
