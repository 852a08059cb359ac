-- The slot's call is not made. call: token.

local slot = read_slot(call.token)
if slot then
  release(call.token, slot)
end
return 'null'
