#!lua flags=allow-oom
-- outbox_done.lua: what was read up to a position is kept for good: the position moves, the entries go. Only if everything is
-- as it was when it was read; another persister, a data loss or a new partition in between make it an idle call.
--
-- KEYS[1] meta      HASH
-- KEYS[2] outbox    STREAM
-- ARGV[1] from      text position that was read from
-- ARGV[2] to        text position that was read to
-- ARGV[3] bytes     int  of the messages in between
-- ARGV[4] epoch     text of the partition, when it was read
--
-- Returns {word}: done, moved (read again from the stored position) or absent

local stored = redis.call('HMGET', KEYS[1], '_', 'ob', 'obb', 'ep')
if not stored[1] then return { 'absent' } end
local change, bytes_in = string.match(stored[1], '^1\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t([^\t]*)\t[^\t]*\t([^\t]*)')
-- A promoted replica may lack entries that were read from its predecessor. Those that it writes next have their ids.
local beyond = not change or string.match(ARGV[2], '^%d+') + 0 > change + 0
if beyond or stored[2] ~= ARGV[1] or stored[4] ~= ARGV[4] then return { 'moved' } end
redis.call('HSET', KEYS[1], 'ob', ARGV[2], 'obb', string.format('%.0f', math.min(bytes_in, (tonumber(stored[3]) or 0) + ARGV[3])))
redis.call('XTRIM', KEYS[2], 'MINID', '~', ARGV[2])
return { 'done' }
