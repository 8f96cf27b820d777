#!lua flags=no-writes
-- read_log.lua: what was logged after a position, with the job as it stands now.
--
-- KEYS[1] job        HASH
-- KEYS[2] meta       HASH
-- ARGV[1] after_seq   int
-- ARGV[2] events_max  int  wanted; whole chunks are read, so some more may come
--
-- Returns {'ok', header, registration, gap_ms, partition_epoch, truncated, chunks}, oldest first, the first may begin before the position;
-- truncated = 1 when the log does not reach back to it: what there is comes all the same. Or {'unknown_job'},
-- or {'lost'} as of read_job.lua

-- #include lib/log_after.lua
-- #include lib/restoring.lua
local stored = redis.call('HMGET', KEYS[1], '_', 'r')
local header = stored[1]
if not header and restoring(KEYS[2]) then return { 'lost' } end
if not header then return { 'unknown_job' } end
local meta = redis.call('HMGET', KEYS[2], '_', 'ep')
local gap_ms = meta[1] and string.match(meta[1], '^[^\t]*\t[^\t]*\t([^\t]*)') or '0'
local truncated, chunks = log_after(KEYS[1], header, ARGV[1] + 0, ARGV[2] + 0, true)
return { 'ok', header, stored[2], gap_ms, meta[2] or '0', truncated, chunks }
