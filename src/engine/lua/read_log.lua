#!lua flags=no-writes
-- read_log.lua: what was logged after a position, with the job as it stands now.
--
-- KEYS[1] job        HASH
-- KEYS[2] meta       HASH
-- ARGV[1] after_seq  int
--
-- Returns {'ok', header, gap_ms, partition_epoch, truncated, chunks}, oldest first, the first may begin before the position;
-- truncated = 1 when the log does not continue the position. Or {'unknown_job'}

-- #include lib/log_after.lua
local header = redis.call('HGET', KEYS[1], '_')
if not header then return { 'unknown_job' } end
local meta = redis.call('HMGET', KEYS[2], '_', 'ep')
local gap_ms = meta[1] and string.match(meta[1], '^[^\t]*\t[^\t]*\t([^\t]*)') or '0'
local truncated, chunks = log_after(KEYS[1], header, ARGV[1] + 0)
return { 'ok', header, gap_ms, meta[2] or '0', truncated, chunks }
