#!lua flags=allow-oom
-- bump_epoch.lua: another Redis answers than the one that wrote meta (a failover, a restart): writes may be lost.
-- Every job of the partition gets a new epoch, which tells each client to start from a snapshot. Idempotent.
--
-- KEYS[1] meta    HASH
-- ARGV[1] now_ms  int  0 = Redis's own clock
--
-- Returns {word, epoch}: bumped, same (nothing to do) or absent

local stored = redis.call('HMGET', KEYS[1], '_', 'ep', 'rid')
if not stored[1] then return { 'absent', '0' } end
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if stored[3] == replid then return { 'same', stored[2] } end

local time = redis.call('TIME')
local now = ARGV[1] + 0
if now == 0 then now = time[1] * 1000 + math.floor(time[2] / 1000) end
local before, last_epoch, rest = string.match(stored[1], '^(1\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t)([^\t]*)(\t.*)$')
-- 60 s ahead: what the lost node issued on a clock ahead of this one's must stay below
local epoch = string.format('%.0f', math.max(now, last_epoch + 1) + 60000)
redis.call('HSET', KEYS[1], '_', before .. epoch .. rest, 'ep', epoch, 'rid', replid)
return { 'bumped', epoch }
