#!lua flags=allow-oom
-- mend_partition.lua: of a partition that was created, makes the permanent keys that somebody deleted. The reducer answers `torn` until
-- then. What stood in them is lost; jobs are put back into agenda and list one by one: mend_job.lua.
--
-- KEYS[1] ingest     STREAM
-- KEYS[2] meta       HASH
-- KEYS[3] agenda     ZSET
-- KEYS[4] jobs       ZSET
-- KEYS[5] outbox     STREAM
-- KEYS[6] dirty      ZSET
-- KEYS[7] answers    STREAM
-- KEYS[8] rejected   STREAM
-- KEYS[9] producers  HASH
--
-- Returns {word, unsaved}: mended, whole, absent (create_partition.lua makes it) or newer_format; jobs whose last outbox entry is above
-- `unsaved` may not be in the database as they are; empty = none

local stored = redis.call('HMGET', KEYS[2], '_', 'ob')
if not stored[1] then return { 'absent', '' } end
local change, bytes_in = string.match(stored[1], '^1\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t([^\t]*)\t[^\t]*\t([^\t]*)')
if not change then return { 'newer_format', '' } end
if redis.call('EXISTS', unpack(KEYS)) == 9 then return { 'whole', '' } end

local unsaved = ''
if redis.call('EXISTS', KEYS[5]) == 0 then
  -- Nothing waits any more: else its bytes would count for ever, and jobs of lost entries would never leave Redis.
  unsaved = string.match(stored[2] or '', '^%d+') or '0'
  redis.call('HSET', KEYS[2], 'ob', change .. '-0', 'obb', bytes_in)
end
if redis.call('EXISTS', KEYS[6]) == 0 then unsaved = '-1' end -- nobody knows any more which jobs were marked

-- #include lib/permanent_keys.lua
return { 'mended', unsaved }
