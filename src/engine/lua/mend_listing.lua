#!lua
-- mend_listing.lua: whether a place in a partition's list has its job, and if asked, takes it away when not.
--
-- KEYS[1] job   HASH
-- KEYS[2] jobs  ZSET
-- ARGV[1] listing     text <tenant>/<epoch>/<job>
-- ARGV[2] registered  text the epoch in it
-- ARGV[3] mend        int  0 = only look
--
-- Returns {word}: whole, gone (it was taken away meanwhile) or ghost (a place without a job)

if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then return { 'gone' } end
local header = redis.call('HGET', KEYS[1], '_')
if header and string.match(header, '^%d+\t[^\t]*\t(%d+)') == ARGV[2] then return { 'whole' } end
if ARGV[3] == '1' then redis.call('ZREM', KEYS[2], ARGV[1]) end
return { 'ghost' }
