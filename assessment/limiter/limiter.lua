-- The limiter, one operation a call: KEYS[1] is the common prefix (one hash tag, so one node of a cluster),
-- ARGV[1] the operation, ARGV[2] what is asked and ARGV[3] the pool, both JSON.
-- Times are milliseconds of this server's clock. A bucket is what limits hold for: `a:` an account and model,
-- `k:` a key and model, `m:` a model wherever it is asked.
local P, operation, ask = KEYS[1], ARGV[1], cjson.decode(ARGV[2])
local SECOND, MINUTE, READY, RAMP, FULL_WAIT, LEAST_SHARE = 1000, 60000, 50, 30000, 100, 0.2
local GUARD = ask.guard

local function clock()
  if ask.now then return ask.now end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local now = clock()

local function text(number) return string.format('%.0f', number + 0) end
local function name(kind, bucket) return P .. ':' .. kind .. ':' .. bucket end
local function hash(key)
  local found, flat = {}, redis.call('HGETALL', key)
  for place = 1, #flat, 2 do found[flat[place]] = flat[place + 1] end
  return found
end

-- Of the first minute after Redis was emptied only the part that has passed may be used: what was sent before is unknown.
local born = tonumber(redis.call('GET', P .. ':born') or 0)
local known_share = math.min(1, (now - born) / MINUTE)
local function of_minute(limit) return math.max(1, math.floor(limit * known_share)) end

local function ramp_share(bucket)
  local from = redis.call('GET', name('ramp', bucket))
  return from and math.min(1, LEAST_SHARE + (1 - LEAST_SHARE) * (now - from) / RAMP) or 1
end

local function nth_latest(sent, n, upto)
  local found = redis.call('ZREVRANGEBYSCORE', sent, upto, '-inf', 'WITHSCORES', 'LIMIT', n - 1, 1)
  return found[2] and tonumber(found[2])
end

local function second_of(time) return math.floor(time / SECOND) end

local function add_tokens(bucket, time, amount)
  redis.call('HINCRBY', name('tokens', bucket), second_of(time), text(amount))
end

-- When so many tokens fit: a second's tokens count until all of it is older than a minute.
local function tokens_free_at(bucket, limit, wanted)
  local key, seconds, total = name('tokens', bucket), {}, 0
  for second, used in pairs(hash(key)) do
    if (second + 1) * SECOND + MINUTE + GUARD <= now then
      redis.call('HDEL', key, second)
    else
      seconds[#seconds + 1] = { tonumber(second), tonumber(used) }
      total = total + used
    end
  end
  table.sort(seconds, function(one, other) return one[1] < other[1] end)
  local at = now
  for _, each in ipairs(seconds) do
    if total <= 0 or total + wanted <= limit then break end
    total = total - each[2]
    at = (each[1] + 1) * SECOND + MINUTE + GUARD
  end
  return at
end

local function in_flight(bucket)
  local held = name('held', bucket)
  redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
  return redis.call('ZCARD', held)
end

-- When a cooled bucket may be asked again, and whether by one call only; nil while that call is under way.
local function open_at(bucket)
  local cool = redis.call('HMGET', name('cool', bucket), 'until', 'half', 'probe')
  if not cool[1] or cool[2] ~= '1' then return 0, false end
  if cool[3] and cool[3] ~= '' and redis.call('ZSCORE', name('held', bucket), cool[3]) then
    return nil, true
  end
  return tonumber(cool[1]), true
end

-- When a bucket can take another call; why not sooner.
local function earliest(bucket, limit, tokens, share)
  local at, why = now, ''
  local function not_before(time, reason)
    if time and time > at then at, why = time, reason end
  end
  in_flight(bucket)
  local opens, half = open_at(bucket)
  not_before(opens or now + FULL_WAIT, 'cooling')
  local blocked = half and not opens
  if limit.f > 0 and redis.call('ZCARD', name('held', bucket)) >= limit.f then
    not_before(now + FULL_WAIT, 'in_flight')
    blocked = true
  end
  if limit.s > 0 or limit.m > 0 then
    local sent = name('sent', bucket)
    redis.call('ZREMRANGEBYSCORE', sent, '-inf', text(now - MINUTE - GUARD))
    local latest = nth_latest(sent, 1, '+inf')
    share = math.min(share, latest and ramp_share(bucket) or LEAST_SHARE)
    if limit.s > 0 then
      local n = math.max(1, math.floor(limit.s * share))
      local before = nth_latest(sent, n, '+inf')
      not_before(before and before + SECOND + GUARD, 'rate_limited')
      not_before(latest and latest + math.floor(0.9 * SECOND / n), 'rate_limited')
    end
    if limit.m > 0 then
      local before = nth_latest(sent, of_minute(limit.m), '+inf')
      not_before(before and before + MINUTE + GUARD, 'rate_limited')
    end
  end
  if limit.t > 0 then not_before(tokens_free_at(bucket, of_minute(limit.t), tokens), 'token_limited') end
  return at, why, blocked
end

local function buckets_of(key)
  return 'a:' .. key.account .. ':' .. ask.model, 'k:' .. key.id .. ':' .. ask.model, 'm:' .. ask.model
end

local NO_LIMIT = { s = 0, m = 0, t = 0, f = 0 }

-- Every key that may be used, with the earliest time of its account, its own and the model's buckets.
local function candidates(pool)
  local found, accounts = {}, {}
  local model_at, model_why, model_blocked = earliest('m:' .. ask.model, NO_LIMIT, 0, 1)
  local share = ramp_share('m:' .. ask.model)
  local hold = born + SECOND + GUARD
  for _, key in ipairs(pool.keys) do
    local meant = (ask.only_key == '' or ask.only_key == key.id)
      and (ask.only_account == '' or ask.only_account == key.account)
    if meant then
      local account_bucket, key_bucket = buckets_of(key)
      if not accounts[key.account] then
        accounts[key.account] = { earliest(account_bucket, pool.accounts[key.account], ask.tokens, share) }
      end
      local of_account = accounts[key.account]
      local at, why, blocked = earliest(key_bucket, key, ask.tokens, share)
      if of_account[1] > at then at, why = of_account[1], of_account[2] end
      if model_at > at then at, why = model_at, model_why end
      if hold > at then at, why = hold, 'rate_limited' end
      found[#found + 1] = {
        key = key, at = at, why = why, blocked = blocked or of_account[3] or model_blocked,
        turn = tonumber(redis.call('HGET', P .. ':turns', key.id) or 0), avoided = ask.avoid[key.account] or false,
      }
    end
  end
  return found
end

local function load_of(candidate)
  local account_bucket, key_bucket = buckets_of(candidate.key)
  return in_flight(key_bucket) + in_flight(account_bucket) / 1000
end

-- Smooth weighted round robin, as in nginx: everyone gains its weight, the richest is chosen and pays for all.
local function by_weight(ready)
  local key, total, best = P .. ':weights', 0, nil
  for _, each in ipairs(ready) do
    each.credit = tonumber(redis.call('HINCRBY', key, each.key.id, each.key.weight))
    total = total + each.key.weight
    if not best or each.credit > best.credit then best = each end
  end
  redis.call('HINCRBY', key, best.key.id, -total)
  return best
end

local RANKS = {
  round_robin = function(each) return 0 end,
  weighted = function(each) return 0 end,
  least_loaded = load_of,
  priority = function(each) return each.key.priority end,
}

local function least(list, rank)
  local best
  for _, each in ipairs(list) do
    each.rank = rank(each)
    if not best or each.rank < best.rank or (each.rank == best.rank and each.turn < best.turn) then best = each end
  end
  return best
end

local function choose(pool, found)
  local ready, soon = {}, {}
  for _, each in ipairs(found) do
    if not each.blocked and each.at <= now + ask.patience then
      soon[#soon + 1] = each
      if each.at <= now + READY then ready[#ready + 1] = each end
    end
  end
  if #ready == 0 then return least(soon, function(each) return each.at end) end
  if pool.strategy == 'weighted' then return by_weight(ready) end
  return least(ready, RANKS[pool.strategy])
end

local function without_avoided(found)
  local kept = {}
  for _, each in ipairs(found) do
    if not each.avoided then kept[#kept + 1] = each end
  end
  return kept
end

local function book_bucket(bucket, limit, at)
  redis.call('ZADD', name('held', bucket), text(now + ask.lease), ask.token)
  redis.call('PEXPIRE', name('held', bucket), ask.lease + MINUTE)
  if limit.s > 0 or limit.m > 0 then
    local sent = name('sent', bucket)
    if redis.call('ZCARD', sent) == 0 then redis.call('SET', name('ramp', bucket), text(now), 'PX', 2 * MINUTE) end
    redis.call('ZADD', sent, text(at), ask.token)
    redis.call('PEXPIRE', sent, 2 * MINUTE + ask.patience)
  end
  if limit.t > 0 then
    add_tokens(bucket, at, ask.tokens)
    redis.call('PEXPIRE', name('tokens', bucket), 2 * MINUTE + ask.patience)
  end
  local cool = name('cool', bucket)
  if redis.call('HGET', cool, 'half') == '1' then redis.call('HSET', cool, 'probe', ask.token) end
end

local function book(pool, chosen)
  local account_bucket, key_bucket, model_bucket = buckets_of(chosen.key)
  local limits = { [account_bucket] = pool.accounts[chosen.key.account], [key_bucket] = chosen.key,
    [model_bucket] = NO_LIMIT }
  local kept = {}
  for bucket, limit in pairs(limits) do
    book_bucket(bucket, limit, chosen.at)
    kept[bucket] = { s = limit.s, m = limit.m, t = limit.t, f = limit.f }
  end
  local slot = name('slot', ask.token)
  redis.call('HSET', slot, 'limits', cjson.encode(kept), 'at', text(chosen.at), 'tokens', ask.tokens,
    'version', pool.version)
  redis.call('PEXPIRE', slot, ask.lease)
  redis.call('HSET', P .. ':turns', chosen.key.id, redis.call('INCR', P .. ':turn'))
end

local function reserve()
  local pool = cjson.decode(ARGV[3])
  if redis.call('GET', P .. ':version') ~= pool.version then return { 'outdated' } end
  local found = candidates(pool)
  local chosen = choose(pool, without_avoided(found)) or choose(pool, found)
  if chosen then
    book(pool, chosen)
    return { 'slot', chosen.key.id, chosen.key.account, text(chosen.at - now) }
  end
  local soonest = least(found, function(each) return each.at end)
  if not soonest then return { 'none', 'no_key', '60000' } end
  return { 'none', soonest.why, text(math.max(soonest.at - now, FULL_WAIT)) }
end

local function slot_of(token)
  local slot = hash(name('slot', token))
  if not slot.limits then return nil end
  slot.limits, slot.at, slot.tokens = cjson.decode(slot.limits), tonumber(slot.at), tonumber(slot.tokens)
  return slot
end

local function free(slot, sent)
  for bucket, limit in pairs(slot.limits) do
    redis.call('ZREM', name('held', bucket), ask.token)
    if not sent then
      redis.call('ZREM', name('sent', bucket), ask.token)
      if limit.t > 0 then add_tokens(bucket, slot.at, 0 - slot.tokens) end
    end
  end
  redis.call('DEL', name('slot', ask.token))
end

local function is_closed_to(bucket)
  local cool = redis.call('HMGET', name('cool', bucket), 'until', 'half', 'probe')
  return cool[2] == '1' and (tonumber(cool[1]) > now or cool[3] ~= ask.token)
end

-- How long a bucket's windows are still full, by what was really sent before this moment.
local function still_full(bucket, limit)
  local sent, wait = name('sent', bucket), 0
  redis.call('ZREM', sent, ask.token)
  for _, window in ipairs({ { limit.s, SECOND }, { limit.m > 0 and of_minute(limit.m) or 0, MINUTE } }) do
    local before = window[1] > 0 and nth_latest(sent, window[1], text(now))
    if before then wait = math.max(wait, before + window[2] + GUARD - now) end
  end
  return wait
end

local function begin()
  local slot = slot_of(ask.token)
  if not slot then return { 'lost', 'expired' } end
  local lost = slot.version ~= redis.call('GET', P .. ':version') and 'outdated'
  local wait = math.max(0, slot.at - now)
  for bucket, limit in pairs(slot.limits) do
    if is_closed_to(bucket) then lost = 'cooling' end
    if limit.s > 0 or limit.m > 0 then wait = math.max(wait, still_full(bucket, limit)) end
  end
  if lost then
    free(slot, false)
    return { 'lost', lost }
  end
  for bucket, limit in pairs(slot.limits) do
    if limit.s > 0 or limit.m > 0 then redis.call('ZADD', name('sent', bucket), text(now + wait), ask.token) end
    if limit.t > 0 then
      add_tokens(bucket, slot.at, 0 - slot.tokens)
      add_tokens(bucket, now + wait, slot.tokens)
    end
  end
  redis.call('HSET', name('slot', ask.token), 'at', text(now + wait), 'begun', wait == 0 and '1' or '')
  return { 'wait', text(wait) }
end

-- Longer each time in a row, counted once for all calls that were sent before it began; never shortened.
local function cool(bucket, sent_at, base, seconds, retry_after, reason)
  local key = name('cool', bucket)
  local before = redis.call('HMGET', key, 'until', 'streak', 'began')
  local streak, began = tonumber(before[2] or 0), tonumber(before[3] or 0)
  if streak == 0 or sent_at >= began then streak, began = streak + 1, now end
  local length = seconds or math.min(ask.longest, math.max(ask.shortest, base * 2 ^ (streak - 1))) * ask.jitter
  local till = math.max(tonumber(before[1] or 0), now + math.floor(math.max(length, retry_after)))
  redis.call('HSET', key, 'until', text(till), 'streak', streak, 'began', text(began), 'half', '1', 'probe', '',
    'reason', reason)
  redis.call('PEXPIRE', key, till - now + 10 * MINUTE)
  return till - now
end

local function recover(bucket)
  local key = name('cool', bucket)
  local state = redis.call('HMGET', key, 'half', 'probe', 'until')
  if state[1] == '1' and state[2] == ask.token then
    redis.call('HSET', key, 'half', '0')
    redis.call('SET', name('ramp', bucket), text(now), 'PX', 2 * MINUTE)
  elseif state[1] == '0' and now - state[3] > MINUTE then
    redis.call('DEL', key)
  end
end

local function settle()
  local slot = slot_of(ask.token)
  if not slot then return { 'gone' } end
  for bucket, limit in pairs(slot.limits) do
    if limit.t > 0 and ask.used then add_tokens(bucket, slot.at, ask.used - slot.tokens) end
    if ask.succeeded then
      recover(bucket)
    elseif redis.call('HGET', name('cool', bucket), 'probe') == ask.token then
      cool(bucket, slot.at, ask.base, nil, 0, 'probe_failed')
    end
  end
  free(slot, true)
  local stats = name('stats', ask.key)
  redis.call('HINCRBY', stats, ask.succeeded and 'succeeded' or 'failed', 1)
  if ask.succeeded then redis.call('HDEL', stats, 'in_a_row') end
  return { 'settled' }
end

local function cool_for()
  local sent_at = tonumber(redis.call('HGET', name('slot', ask.token), 'at') or now)
  return { text(cool(ask.bucket, sent_at, ask.base, ask.seconds, ask.retry_after, ask.reason)) }
end

-- A key that fails so often in a row, for whatever reason, is left alone for a while.
local function note_failure()
  local stats = name('stats', ask.key)
  if redis.call('HINCRBY', stats, 'in_a_row', 1) < ask.most then return { '0' } end
  redis.call('HDEL', stats, 'in_a_row')
  return cool_for()
end

local function give_back()
  local slot = slot_of(ask.token)
  if slot then free(slot, false) end
  return { 'free' }
end

local function used_since(bucket, window)
  return redis.call('ZCOUNT', name('sent', bucket), '(' .. text(now - window), text(now))
end

local function used_tokens(bucket)
  local total = 0
  for second, used in pairs(hash(name('tokens', bucket))) do
    if (second + 1) * SECOND + MINUTE > now then total = total + used end
  end
  return total
end

local function standing(key)
  local account_bucket, key_bucket, model_bucket = buckets_of(key)
  local told = { key = key.id, account = key.account, closed = 0, reason = '', streak = 0, half = false }
  for _, bucket in ipairs({ account_bucket, key_bucket, model_bucket }) do
    local state = hash(name('cool', bucket))
    if state['until'] and state.half == '1' then
      told.half = true
      if state['until'] - now >= told.closed then
        told.closed, told.reason, told.streak = state['until'] - now, state.reason, tonumber(state.streak)
      end
    end
  end
  local stats = hash(name('stats', key.id))
  told.in_flight, told.account_in_flight = in_flight(key_bucket), in_flight(account_bucket)
  told.second, told.minute = used_since(account_bucket, SECOND), used_since(account_bucket, MINUTE)
  told.tokens = used_tokens(account_bucket)
  told.succeeded, told.failed = tonumber(stats.succeeded or 0), tonumber(stats.failed or 0)
  return told
end

local function standings()
  local all = {}
  for _, key in ipairs(cjson.decode(ARGV[3]).keys) do all[#all + 1] = standing(key) end
  return { cjson.encode(all) }
end

-- Whoever finds no version says which holds; then what was sent before is unknown, and everything holds its breath.
local function publish()
  redis.call('SET', P .. ':born', text(now), 'NX')
  if ask.replace then
    redis.call('SET', P .. ':version', ask.version)
  else
    redis.call('SET', P .. ':version', ask.version, 'NX')
  end
  return { redis.call('GET', P .. ':version') }
end

local OPERATIONS = {
  reserve = reserve, begin = begin, settle = settle, give_back = give_back, cool = cool_for,
  note_failure = note_failure, standings = standings, publish = publish,
}
return OPERATIONS[operation]()
