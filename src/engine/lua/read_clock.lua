#!lua flags=no-writes
-- read_clock.lua: how a partition stands: when it was drained last, and whether anything waits for it.
--
-- KEYS[1] meta    HASH
-- KEYS[2] ingest  STREAM
-- ARGV[1] waiting_max  int  entries are counted up to here
--
-- Returns {word, idle_ms, waiting, replaced}: word is ok, absent or newer_format; replaced = 1 when another Redis answers than the one
-- that wrote last

local stored = redis.call('HMGET', KEYS[1], '_', 'rid')
if not stored[1] then return { 'absent', 0, 0, 0 } end
local cursor, last_ms = string.match(stored[1], '^1\t([^\t]*)\t[^\t]*\t[^\t]*\t([^\t]*)')
if not cursor then return { 'newer_format', 0, 0, 0 } end
local time = redis.call('TIME')
local idle = math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - last_ms)
local waiting = #redis.call('XRANGE', KEYS[2], '(' .. cursor, '+', 'COUNT', ARGV[1])
local same = string.find(redis.call('INFO', 'replication'), 'master_replid:' .. (stored[2] or '?'), 1, true)
return { 'ok', idle, waiting, same and 0 or 1 }
