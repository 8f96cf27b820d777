#!lua flags=allow-oom
-- end_restore.lua: all that the database knew of a partition is back: nothing is restored again, and the reducer goes on.
--
-- KEYS[1] meta  HASH
-- ARGV[1] born  text as it was when the restoring began
--
-- Returns {word}: done, or moved (the partition was lost again)

if redis.call('HGET', KEYS[1], 'born') ~= ARGV[1] then return { 'moved' } end
redis.call('HSET', KEYS[1], 'restored', ARGV[1])
redis.call('HDEL', KEYS[1], 'hold')
return { 'done' }
