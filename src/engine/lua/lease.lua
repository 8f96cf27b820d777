#!lua
-- lease.lua: takes or renews a persister's lease on a partition, or gives it back. It only saves double work: nothing is wrong
-- when two hold one.
--
-- KEYS[1] lease   STRING who holds it
-- ARGV[1] holder  text
-- ARGV[2] ttl_ms  int  0 = give it back
--
-- Returns {word}: held, taken (somebody else has it) or free

local current = redis.call('GET', KEYS[1])
if current and current ~= ARGV[1] then return { 'taken' } end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return { 'free' }
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { 'held' }
