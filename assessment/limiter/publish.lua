-- Another pool is current. A Redis without the moment of its birth has just been emptied. call: version.

redis.call('SET', KEYS[1], call.version)
redis.call('SET', KEYS[2], now, 'NX')
return 'null'
