#!lua flags=allow-oom
-- create_partition.lua: the nine permanent keys of a partition, when `meta` is absent: a new partition, or a wiped one.
-- What is there stays (a worker may have written to ingest before any gateway ran). Idempotent.
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
-- ARGV[1] now_ms     int  0 = Redis's own clock
-- ARGV[2] hold_ms    int  the reducer waits so long for the persister to put lost jobs back; 0 = it does not
--
-- Returns {word}: created, or exists

if redis.call('EXISTS', KEYS[2]) == 1 then return { 'exists' } end
local time = redis.call('TIME')
local now = ARGV[1] + 0
if now == 0 then now = time[1] * 1000 + math.floor(time[2] / 1000) end

-- What survived tells of a wiped partition, whose last epoch nobody knows any more; a new one is not put into the future,
-- or its first jobs would be listed out of order.
local survived = redis.call('EXISTS', unpack(KEYS)) > 0

-- #include lib/permanent_keys.lua

local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local epoch = string.format('%.0f', survived and now + 60000 or now)
local last = redis.call('XREVRANGE', KEYS[5], '+', '-', 'COUNT', 1)
local change = last[1] and string.match(last[1][1], '^%d+') or '0'
local clock = string.format('%.0f', now)
redis.call('HSET', KEYS[2],
  '_', table.concat({ '1', '0-0', '0', '0', clock, change, epoch, '0', '0' }, '\t'),
  'ep', epoch, 'rid', replid, 'born', clock, 'ob', '0-0', 'obb', '0') -- entries that survived are read again: what is written twice does no harm
if ARGV[2] ~= '0' then redis.call('HSET', KEYS[2], 'hold', string.format('%.0f', now + ARGV[2])) end
return { 'created' }
