-- The permanent keys but `meta`, those that are missing. KEYS as in create_partition.lua.

-- An empty stream made with `*` would refuse the explicit ids that follow.
for _, key in ipairs({ KEYS[1], KEYS[5], KEYS[7], KEYS[8] }) do
  if redis.call('EXISTS', key) == 0 then
    redis.call('XADD', key, '0-1', 'x', 'x')
    redis.call('XTRIM', key, 'MAXLEN', 0)
  end
end
for _, key in ipairs({ KEYS[3], KEYS[6] }) do redis.call('ZADD', key, 'NX', '+inf', '-') end
redis.call('ZADD', KEYS[4], 'NX', 0, '-')
redis.call('HSETNX', KEYS[9], '-', '0\t0')
pcall(redis.call, 'XGROUP', 'CREATE', KEYS[1], 'headway', '0')
