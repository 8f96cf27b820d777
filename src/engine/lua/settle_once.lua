#!lua
-- settle_once.lua: what came of a request that carried an idempotency key, unless its time was up and another holds the key.
--
-- KEYS[1] once     STRING
-- ARGV[1] mark     text  as the request has left it
-- ARGV[2] outcome  text  empty = forget the request
-- ARGV[3] kept_ms  int
--
-- Returns {word}: ok or lost

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return { 'lost' } end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
end
return { 'ok' }
