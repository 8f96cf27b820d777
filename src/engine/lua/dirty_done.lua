#!lua flags=allow-oom
-- dirty_done.lua: a dirty job was written as it stood when it was read. It stops being dirty unless it may have been marked again.
--
-- KEYS[1] job       HASH
-- KEYS[2] meta      HASH
-- KEYS[3] dirty     ZSET
-- ARGV[1] member    text <tenant>/<job>
-- ARGV[2] mark      text as it was read
-- ARGV[3] rev       int  of the job as it was read
-- ARGV[4] next_seq  int  first seq that was not written; 0 = the job did not exist
--
-- Returns {word}: clean, or marked (it stays, from next_seq on)

local meta = redis.call('HMGET', KEYS[2], 'ep', 'dm')
local header = redis.call('HGET', KEYS[1], '_')
local rev = header and string.match(header, '^1\t[^\t]*\t[^\t]*\t[^\t]*\t([^\t]*)')
local unmarked = (meta[1] or '') .. '.' .. (meta[2] or '0') == ARGV[2]
if unmarked or (ARGV[4] == '0' and not header) or (rev == ARGV[3] and string.match(ARGV[2], '^%d*') == meta[1]) then
  redis.call('ZREM', KEYS[3], ARGV[1])
  return { 'clean' }
end
if ARGV[4] ~= '0' and string.match(ARGV[2], '^%d*') == meta[1] then redis.call('ZADD', KEYS[3], 'XX', ARGV[4], ARGV[1]) end
return { 'marked' }
