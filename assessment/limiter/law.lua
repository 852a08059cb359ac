-- What every script of the limiter begins with: the clock, what is kept of a bucket, and when a bucket opens.
--
-- A bucket is what limits and cooldowns belong to, always for one model: 'm' the model, 'a:ACCOUNT', 'k:KEY'. Kept are,
-- in keys that share one hash tag so that a cluster keeps them together,
--   {llm}:BUCKET:MODEL           HASH  ramp_from, reserved: since when it ramps up, when it was last reserved from
--   {llm}:BUCKET:MODEL:sent      ZSET  its calls by the time they are booked for or, once begun, were sent at
--   {llm}:BUCKET:MODEL:held      ZSET  its calls in flight by the end of their lease
--   {llm}:BUCKET:MODEL:tokens    HASH  tokens by second, and their `sum`, too high until the old ones are dropped
--   {llm}:cooldowns:MODEL        HASH  a cooldown by bucket
--   {llm}:opens:MODEL:VERSION    HASH  by bucket when its windows open: a cache, exact until the bucket is booked again
--   {llm}:turns:MODEL, {llm}:weights:MODEL   HASH  by key, for the strategies
--   {llm}:slot:TOKEN             a slot, as it was reserved
--   {llm}:record:KEY             HASH  how often calls of a key succeeded and failed, of any model, and failed in a row
-- Moments are whole milliseconds of Redis's clock, which all hosts share. A call is counted from `now`, never past it.

local SECOND, MINUTE, DAY = 1000, 60000, 86400000
local RAMP, RAMP_SHARE = 30000, 0.2
local REMEMBER = 10 * MINUTE -- longer than any window looks back or any booking looks ahead

local call = cjson.decode(ARGV[1])
local guard, now = call.guard, call.now
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local published = redis.call('MGET', KEYS[1], KEYS[2])
local version, born = published[1], tonumber(published[2] or 0) -- of an empty Redis, false and 0

local function place(bucket, part)
  return '{llm}:' .. bucket .. ':' .. call.model .. part
end

local OPENS, COOLDOWNS = place('opens', ':' .. (version or '')), place('cooldowns', '')

local function slot_place(token)
  return '{llm}:slot:' .. token
end

local function record_place(key)
  return '{llm}:record:' .. key
end

local function read_slot(token)
  local spelled = redis.call('GET', slot_place(token))
  return spelled and cjson.decode(spelled)
end

local function keep_slot(token, slot)
  redis.call('SET', slot_place(token), cjson.encode(slot), 'PX', slot.lease_ends - now + REMEMBER)
end

local function read_cooldown(bucket)
  local spelled = redis.call('HGET', COOLDOWNS, bucket)
  return spelled and cjson.decode(spelled)
end

local function keep_cooldown(bucket, cooldown)
  redis.call('HSET', COOLDOWNS, bucket, cjson.encode(cooldown))
  redis.call('PEXPIRE', COOLDOWNS, DAY)
end

-- How often in a row a bucket has cooled; a minute without trouble lets that be forgotten.
local function streak_of(cooldown)
  local is_forgiven = cooldown.recovered > 0 and now - cooldown.recovered >= MINUTE
  return is_forgiven and 0 or cooldown.streak
end

-- The model, the account and the key that the slot is of.
local function buckets_of(slot)
  return {'m', slot.buckets[1].name, slot.buckets[2].name}
end

local function is_rate_limited(limits)
  return limits.per_second > 0 or limits.per_minute > 0
end

local function in_flight(bucket)
  return redis.call('ZCOUNT', place(bucket, ':held'), '(' .. now, '+inf')
end

-- Tokens are kept by the second, and count until all of it is a minute ago.
local function tokens_end_at(second)
  return (second + 1) * SECOND + MINUTE + guard
end

local function add_tokens(bucket, at, tokens)
  local spent, second = place(bucket, ':tokens'), math.floor(at / SECOND)
  if tokens_end_at(second) > now then
    redis.call('HINCRBY', spent, second, tokens)
    redis.call('HINCRBY', spent, 'sum', tokens)
    redis.call('PEXPIRE', spent, REMEMBER)
  end
end

-- Enters the slot in the windows of its account and key, at its time.
local function book(token, slot)
  for _, bucket in ipairs(slot.buckets) do
    local name, limits = bucket.name, bucket.limits
    local held, sent = place(name, ':held'), place(name, ':sent')
    redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
    redis.call('ZADD', held, slot.lease_ends, token)
    redis.call('PEXPIRE', held, DAY)
    if is_rate_limited(limits) then
      redis.call('ZREMRANGEBYSCORE', sent, '-inf', now - MINUTE - guard)
      redis.call('ZADD', sent, slot.at, token)
      redis.call('PEXPIRE', sent, REMEMBER)
      redis.call('HDEL', OPENS, name)
    end
    if limits.tokens_per_minute > 0 then
      add_tokens(name, slot.at, slot.tokens)
    end
  end
end

local function unbook(token, slot)
  for _, bucket in ipairs(slot.buckets) do
    redis.call('ZREM', place(bucket.name, ':held'), token)
    redis.call('ZREM', place(bucket.name, ':sent'), token)
    redis.call('HDEL', OPENS, bucket.name)
    if bucket.limits.tokens_per_minute > 0 then
      add_tokens(bucket.name, slot.at, -slot.tokens)
    end
  end
end

-- Undoes a reservation whose call is never sent, and lets another probe where it was to.
local function release(token, slot)
  unbook(token, slot)
  for _, bucket in ipairs(buckets_of(slot)) do
    local cooldown = read_cooldown(bucket)
    if cooldown and cooldown.probe == token then
      cooldown.probe = nil
      keep_cooldown(bucket, cooldown)
    end
  end
  redis.call('DEL', slot_place(token))
end

-- Of the slot's key, as key_record.py reads it.
local function record_of(slot)
  return record_place(string.sub(slot.buckets[2].name, 3))
end

local function share_since(ramp_from)
  return math.min(1, RAMP_SHARE + (1 - RAMP_SHARE) * (now - (ramp_from or 0)) / RAMP)
end

local function ramp_up(bucket)
  redis.call('HSET', place(bucket, ''), 'ramp_from', now)
  redis.call('PEXPIRE', place(bucket, ''), DAY)
  redis.call('DEL', OPENS)
end

local function is_cold(reserved)
  return now - (reserved or 0) > MINUTE
end

-- How much of its calls a second and in flight a bucket may use: it, or the whole model, may be ramping up.
local function share_of(bucket)
  local ramp = redis.call('HMGET', place(bucket, ''), 'ramp_from', 'reserved')
  local share = is_cold(ramp[2]) and RAMP_SHARE or share_since(ramp[1])
  return math.min(share, share_since(redis.call('HGET', place('m', ''), 'ramp_from')))
end

local function permitted_of(limit, share)
  return math.max(1, math.floor(limit * share))
end

-- A new Redis has forgotten what was sent before it: in its first minute a minute's limit grows with the minute.
local function grown_at(used, more, limit)
  if used <= 0 or now >= born + MINUTE then
    return 0
  end
  return born + math.ceil((used + more) * MINUTE / limit)
end

local function sent_at(bucket, rank)
  return tonumber(redis.call('ZRANGE', place(bucket, ':sent'), rank, rank, 'WITHSCORES')[2])
end

-- When the windows that count calls have room for one beside the `count` first ones in them; 0 where they have now.
local function calls_open_at(bucket, limits, count, share)
  local at, a_minute = 0, limits.per_minute
  if limits.per_second > 0 then
    local a_second = permitted_of(limits.per_second, share)
    if count >= a_second then
      at = sent_at(bucket, count - a_second) + SECOND + guard
    end
  end
  if a_minute > 0 and count >= a_minute then
    at = math.max(at, sent_at(bucket, count - a_minute) + MINUTE + guard)
  elseif a_minute > 0 then
    at = math.max(at, grown_at(count, 1, a_minute))
  end
  return at
end

-- Of each second up to `last` that counts still: until when it does, and its tokens. Older ones are dropped.
local function tokens_spent(bucket, last)
  local spent, total, sum, old = {}, 0, 0, {}
  local by_second = redis.call('HGETALL', place(bucket, ':tokens'))
  for field = 1, #by_second, 2 do
    local second, tokens = tonumber(by_second[field]), tonumber(by_second[field + 1])
    if second and tokens_end_at(second) <= now then
      old[#old + 1] = by_second[field]
    elseif second then
      sum = sum + tokens
      if second <= last then
        spent[#spent + 1] = {ends = tokens_end_at(second), tokens = tokens}
        total = total + tokens
      end
    end
  end
  if #old > 0 then
    redis.call('HDEL', place(bucket, ':tokens'), unpack(old))
    redis.call('HSET', place(bucket, ':tokens'), 'sum', sum)
  end
  return spent, total
end

-- When the tokens of a minute have room for so many more beside those of the seconds up to `last`; 0 where they have now.
-- A call that asks for more than the whole limit waits until nothing else is counted.
local function tokens_open_at(bucket, limit, tokens, last)
  local sum = tonumber(redis.call('HGET', place(bucket, ':tokens'), 'sum') or 0)
  if sum + tokens <= limit and now >= born + MINUTE then
    return 0
  end
  local spent, total = tokens_spent(bucket, last)
  if total <= 0 or total + tokens <= limit then
    return grown_at(total, tokens, limit)
  end
  table.sort(spent, function(one, other) return one.ends < other.ends end)
  for _, second in ipairs(spent) do
    total = total - second.tokens
    if total <= 0 or total + tokens <= limit then
      return second.ends
    end
  end
end
