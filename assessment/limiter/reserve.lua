-- Books a call with the key that the strategy prefers among those that may go first.
-- ARGV[2] is the pool by columns: one row for each key, and one for each bucket, which are all accounts and the keys with
-- limits of their own. Decoding it is the largest part of what this script costs, and rows would cost twice as much.
-- call: token, tokens, patience, lease, and `tiers` of keys, of which a later one is for when no earlier one has a slot.

local READY = 50 -- what opens within this is as good as open, and the strategy may choose it
local BUSY = 100 -- when to look again where calls in flight end nobody knows when
local PROBING = 500

local pool = cjson.decode(ARGV[2])
if version ~= pool.version then
  return cjson.encode({outdated = true})
end

-- A reservation that is asked for again, since its answer was lost on the way, is the one that was made.
local known = read_slot(call.token)
if known then
  return cjson.encode({key = string.sub(known.buckets[2].name, 3), wait = known.at - now})
end

local start = math.max(now, born + SECOND + guard)
local opens = #pool.buckets > 0 and redis.call('HMGET', OPENS, unpack(pool.buckets)) or {}

local function read_cooldowns()
  local cooldowns, spelled = {}, redis.call('HGETALL', COOLDOWNS)
  for each = 1, #spelled, 2 do
    local cooldown = cjson.decode(spelled[each + 1])
    if cooldown.ends > 0 then
      cooldowns[spelled[each]] = cooldown
    elseif streak_of(cooldown) == 0 then
      redis.call('HDEL', COOLDOWNS, spelled[each])
    end
  end
  return cooldowns
end

local cooldowns = read_cooldowns()
local any_cools = next(cooldowns) ~= nil

local function limits_of(row)
  return {
    per_second = pool.per_second[row] or 0,
    per_minute = pool.per_minute[row] or 0,
    tokens_per_minute = pool.tokens_per_minute[row] or 0,
    in_flight = pool.in_flight[row] or 0,
  }
end

-- When the bucket's windows that count calls open after everything that is booked, at an even pace.
local function calls_open_after_all(bucket, limits, share)
  if not is_rate_limited(limits) then
    return 0
  end
  local count = redis.call('ZCARD', place(bucket, ':sent'))
  local at = calls_open_at(bucket, limits, count, share)
  if limits.per_second > 0 and count > 0 then
    at = math.max(at, sent_at(bucket, count - 1) + math.floor(900 / permitted_of(limits.per_second, share)))
  end
  return at
end

local function bucket_opens_at(row)
  if not opens[row] then
    local bucket, limits = pool.buckets[row], limits_of(row)
    local share = limits.per_second > 0 and share_of(bucket) or 1
    opens[row] = calls_open_after_all(bucket, limits, share)
    if share == 1 and now >= born + MINUTE then -- otherwise it opens earlier as time passes
      redis.call('HSET', OPENS, bucket, opens[row])
      redis.call('PEXPIRE', OPENS, REMEMBER)
    end
  end
  return tonumber(opens[row])
end

local tokens_at, flying = {}, {}

local function bucket_has_tokens_at(row)
  tokens_at[row] = tokens_at[row] or tokens_open_at(pool.buckets[row], pool.tokens_per_minute[row], call.tokens, math.huge)
  return tokens_at[row]
end

local function flying_of(row)
  flying[row] = flying[row] or in_flight(pool.buckets[row])
  return flying[row]
end

-- Of the key that is looked at: when it opens, what it waits for, and whether that may take longer than anybody knows.
local at, reason, shut

local function delay(moment, why, is_unknown)
  if moment > at then
    at, reason = moment, why
  end
  shut = shut or is_unknown
end

local function look_at_bucket(row)
  delay(bucket_opens_at(row), 'rate_limited', false)
  if pool.tokens_per_minute[row] > 0 then
    delay(bucket_has_tokens_at(row), 'token_limited', false)
  end
  if pool.in_flight[row] > 0 and flying_of(row) >= permitted_of(pool.in_flight[row], share_of(pool.buckets[row])) then
    delay(now + BUSY, 'in_flight', true)
  end
end

local function look_at_cooldown(bucket)
  local cooldown = cooldowns[bucket]
  if cooldown and cooldown.probe and cooldown.probe_ends > now then
    delay(math.max(cooldown.ends, now + PROBING), 'cooling', true)
  elseif cooldown then
    delay(cooldown.ends, 'cooling', false)
  end
end

local function look_at_key(row)
  local account, own = pool.account_bucket[row], pool.key_bucket[row]
  at, reason, shut = start, 'rate_limited', false
  look_at_bucket(account)
  if own > 0 then
    look_at_bucket(own)
  end
  if any_cools then
    look_at_cooldown('m')
    look_at_cooldown(pool.buckets[account])
    look_at_cooldown('k:' .. pool.keys[row])
  end
  return at, reason, shut
end

local soonest, soonest_reason = math.huge, 'no_key'
local times = {}

-- The keys of a tier that the strategy may choose from: those that are open or, where none is, those that open first.
local function contenders_of(tier)
  local ready, first, earliest = {}, {}, now + call.patience
  for _, row in ipairs(tier) do
    local opens_at, why, is_shut = look_at_key(row)
    times[row] = opens_at
    if opens_at < soonest then
      soonest, soonest_reason = opens_at, why
    end
    if not is_shut and opens_at <= now + math.min(READY, call.patience) then
      ready[#ready + 1] = row
    elseif not is_shut and opens_at <= earliest then
      first = opens_at < earliest and {} or first
      first[#first + 1] = row
      earliest = opens_at
    end
  end
  return #ready > 0 and ready or first
end

local TURNS, WEIGHTS = place('turns', ''), place('weights', '')

local function numbers_of(hash, rows)
  local fields = {}
  for each, row in ipairs(rows) do
    fields[each] = pool.keys[row]
  end
  local numbers = redis.call('HMGET', hash, unpack(fields))
  for each in ipairs(fields) do
    numbers[each] = tonumber(numbers[each] or 0)
  end
  return numbers
end

local function most_in_flight(row)
  local own = pool.in_flight[pool.key_bucket[row]] or 0
  return own > 0 and own or pool.in_flight[pool.account_bucket[row]]
end

-- Shares of their limits can be compared only where all contenders have one.
local function are_all_limited(rows)
  for _, row in ipairs(rows) do
    if most_in_flight(row) == 0 then
      return false
    end
  end
  return true
end

local function load_of(row, as_share)
  return in_flight('k:' .. pool.keys[row]) / (as_share and most_in_flight(row) or 1)
end

-- The lowest rank goes first. `preference` is the priority or the weight, as the strategy wants it.
local function rank_of(row, credit, as_share)
  if pool.strategy == 'priority' then
    return pool.preference[row]
  elseif pool.strategy == 'least_loaded' then
    return load_of(row, as_share)
  elseif pool.strategy == 'weighted' then
    return -(credit + pool.preference[row])
  end
  return 0
end

-- Smooth weighted round robin: all contenders gain their weight, and who goes pays the sum of them.
local function pay_weights(rows, credits, chosen)
  local fields, sum = {}, 0
  for each, row in ipairs(rows) do
    fields[2 * each - 1], fields[2 * each] = pool.keys[row], credits[each] + pool.preference[row]
    sum = sum + pool.preference[row]
  end
  fields[2 * chosen] = fields[2 * chosen] - sum
  redis.call('HSET', WEIGHTS, unpack(fields))
  redis.call('PEXPIRE', WEIGHTS, DAY)
end

-- The contender that goes; among equals the one whose last turn is the longest ago.
local function pick(rows)
  if #rows == 1 then
    return rows[1]
  end
  local is_weighted = pool.strategy == 'weighted'
  local turns, credits = numbers_of(TURNS, rows), is_weighted and numbers_of(WEIGHTS, rows) or {}
  local chosen, lowest, as_share = 0, math.huge, pool.strategy == 'least_loaded' and are_all_limited(rows)
  for each, row in ipairs(rows) do
    local rank = rank_of(row, credits[each], as_share)
    if rank < lowest or rank == lowest and turns[each] < turns[chosen] then
      chosen, lowest = each, rank
    end
  end
  if is_weighted then
    pay_weights(rows, credits, chosen)
  end
  return rows[chosen]
end

local function take_turn(row)
  redis.call('HSET', TURNS, pool.keys[row], redis.call('HINCRBY', TURNS, '', 1))
  redis.call('PEXPIRE', TURNS, DAY)
end

local function note_reserved(bucket)
  local name = place(bucket, '')
  if is_cold(redis.call('HGET', name, 'reserved')) then
    redis.call('HSET', name, 'ramp_from', now)
  end
  redis.call('HSET', name, 'reserved', now)
  redis.call('PEXPIRE', name, DAY)
end

local function slot_of(row)
  local account, own = pool.account_bucket[row], pool.key_bucket[row]
  return {
    version = version,
    at = times[row],
    reserved = now,
    begun = 0,
    tokens = call.tokens,
    lease = call.lease,
    lease_ends = times[row] + call.lease,
    buckets = {
      {name = pool.buckets[account], limits = limits_of(account)},
      {name = 'k:' .. pool.keys[row], limits = limits_of(own)},
    },
  }
end

-- Where something of the slot has cooled, its call is the one that tries whether that is over.
local function become_probe(slot)
  for _, bucket in ipairs(buckets_of(slot)) do
    local cooldown = cooldowns[bucket]
    if cooldown then
      cooldown.probe, cooldown.probe_ends = call.token, slot.lease_ends
      keep_cooldown(bucket, cooldown)
    end
  end
end

local function reserve(row)
  local slot = slot_of(row)
  book(call.token, slot)
  keep_slot(call.token, slot)
  become_probe(slot)
  for _, bucket in ipairs(slot.buckets) do
    if bucket.limits.per_second > 0 or bucket.limits.in_flight > 0 then
      note_reserved(bucket.name)
    end
  end
  take_turn(row)
  return cjson.encode({key = pool.keys[row], wait = slot.at - now})
end

local function whole_pool()
  local rows = {}
  for row = 1, #pool.keys do
    rows[row] = row
  end
  return rows
end

for _, tier in ipairs(call.tiers or {whole_pool()}) do
  local rows = contenders_of(tier)
  if #rows > 0 then
    return reserve(pick(rows))
  end
end
return cjson.encode({reason = soonest_reason, soonest = soonest < math.huge and soonest - now or nil})
