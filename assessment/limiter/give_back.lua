-- The slot's call is not made. call: token, failed where that was tried, but nothing left.

local slot = read_slot(call.token)
if slot then
  release(call.token, slot)
  if call.failed then
    redis.call('HINCRBY', record_of(slot), 'failed', 1)
  end
end
return 'null'
