#!lua flags=allow-oom
-- restore_job.lua: puts a job back that Redis lost, as the database last knew it. Its items stand ready under another key, so that
-- nothing of it is seen before all of it is there.
--
-- KEYS[1] job       HASH
-- KEYS[2] prepared  HASH  its items; becomes the job
-- KEYS[3] meta      HASH
-- KEYS[4] agenda    ZSET
-- KEYS[5] jobs      ZSET
-- KEYS[6] dirty     ZSET
-- ARGV[1] member          text <tenant>/<job>
-- ARGV[2] tenant          text
-- ARGV[3] id              text
-- ARGV[4] header          text
-- ARGV[5] record          text its registration
-- ARGV[6] state           word
-- ARGV[7] control         text id of the open request
-- ARGV[8] next_seq        int
-- ARGV[9] born            text of the partition, when the restoring began
-- ARGV[10] publish        word PUBLISH, or SPUBLISH on a Cluster
-- ARGV[11] tenant_channel text
--
-- Returns {word}: restored; exists (it was registered again, or never lost); or moved (the partition was lost again)

local meta = redis.call('HMGET', KEYS[3], '_', 'ep', 'born')
local exists = redis.call('EXISTS', KEYS[1]) == 1 or redis.call('ZSCORE', KEYS[4], ARGV[1])
if not meta[1] or meta[3] ~= ARGV[9] or exists then
  redis.call('UNLINK', KEYS[2])
  return { exists and 'exists' or 'moved' }
end
local gap_ms, last_ms = string.match(meta[1], '^1\t[^\t]*\t([^\t]*)\t[^\t]*\t([^\t]*)')
local registered = string.match(ARGV[4], '^1\t[^\t]*\t([^\t]*)')
redis.call('HSET', KEYS[2], '_', ARGV[4], 'r', ARGV[5], 'state', ARGV[6], 'control', ARGV[7])
redis.call('PERSIST', KEYS[2])
redis.call('RENAME', KEYS[2], KEYS[1])
redis.call('ZADD', KEYS[4], last_ms - gap_ms, ARGV[1]) -- due at once: the next drain computes its timers
redis.call('ZADD', KEYS[5], 0, ARGV[2] .. '/' .. registered .. '/' .. ARGV[3])
redis.call('ZADD', KEYS[6], 'NX', ARGV[8], ARGV[1]) -- its row is to have the new epoch

local epoch = registered + 0 > meta[2] + 0 and registered or meta[2]
redis.call(ARGV[10], KEYS[1], '1u\t' .. epoch .. '\t' .. ARGV[8] .. '\t' .. string.format('%.0f', ARGV[8] - 1) .. '\t' .. gap_ms ..
  '\t' .. ARGV[2] .. '\t' .. ARGV[3] .. '\n' .. ARGV[4] .. '\n' .. ARGV[5])
redis.call(ARGV[10], ARGV[11], '1t\t' .. gap_ms .. '\nu\t' .. ARGV[3] .. '\t' .. epoch .. '\t' .. ARGV[4])
return { 'restored' }
