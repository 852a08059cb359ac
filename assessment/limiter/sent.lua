-- The slot's call has left only now: the windows of its account and key count it from here. call: token.

local slot = read_slot(call.token)
if not slot or slot.begun == 0 then
  return 'null'
end
for _, bucket in ipairs(slot.buckets) do
  if is_rate_limited(bucket.limits) then
    redis.call('ZADD', place(bucket.name, ':sent'), 'XX', now, call.token)
    redis.call('HDEL', OPENS, bucket.name)
  end
end
return 'null'
