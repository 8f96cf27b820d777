#!lua flags=allow-oom
-- mend_job.lua: whether a job stands in agenda and list exactly if its hash is there, and if asked, makes it so. The hash is the truth.
--
-- KEYS[1] job     HASH
-- KEYS[2] meta    HASH
-- KEYS[3] agenda  ZSET
-- KEYS[4] jobs    ZSET
-- KEYS[5] dirty   ZSET
-- ARGV[1] member   text <tenant>/<job>
-- ARGV[2] tenant   text
-- ARGV[3] id       text
-- ARGV[4] mend     int  0 = only look
-- ARGV[5] unsaved  text  of mend_partition.lua; empty = the database lacks nothing
--
-- Returns {word}: what was found
-- whole         nothing to do, or only to be written to the database again
-- gone          there is no such job any more
-- unscheduled   a hash and no place in the agenda: its timers never fire, and the partition stands still at its next event
-- unlisted      a hash and no place in the list
-- missing       a place in the agenda and no hash: the partition stands still at its next event or timer
-- headless      a hash without a header, which says nothing
-- newer_format  written by a newer build

local mend = ARGV[4] == '1'
local header = redis.call('HGET', KEYS[1], '_')
local scheduled = redis.call('ZSCORE', KEYS[3], ARGV[1])
if not header then
  local exists = redis.call('EXISTS', KEYS[1]) == 1
  if not exists and not scheduled then return { 'gone' } end
  if mend then
    redis.call('UNLINK', KEYS[1])
    redis.call('ZREM', KEYS[3], ARGV[1])
    redis.call('ZREM', KEYS[5], ARGV[1])
  end
  if exists then return { 'headless' } end
  return { 'missing' }
end
local registered = string.match(header, '^1\t[^\t]*\t(%d+)\t')
if not registered then return { 'newer_format' } end
local listing = ARGV[2] .. '/' .. registered .. '/' .. ARGV[3]
local listed = redis.call('ZSCORE', KEYS[4], listing)
if mend then
  if not scheduled then
    local gap_ms, last_ms = string.match(redis.call('HGET', KEYS[2], '_') or '', '^1\t[^\t]*\t([^\t]*)\t[^\t]*\t([^\t]*)')
    redis.call('ZADD', KEYS[3], (last_ms or 0) - (gap_ms or 0), ARGV[1]) -- due at once: the next drain computes its timers
  end
  if not listed then redis.call('ZADD', KEYS[4], 0, listing) end
  local outbox = string.match(header, '\t%d+,%d+,%d+,%d+,%d+,(%d+)\t[^\t]*$')
  if ARGV[5] ~= '' and outbox and outbox ~= '0' and outbox + 0 > ARGV[5] + 0 then
    redis.call('ZADD', KEYS[5], 'NX', 1, ARGV[1])
    redis.call('HINCRBY', KEYS[2], 'dm', 1)
  end
end
if not scheduled then return { 'unscheduled' } end
if not listed then return { 'unlisted' } end
return { 'whole' }
