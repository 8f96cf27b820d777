#!lua flags=no-writes
-- read_dirty.lua: a job that changed while the outbox was full: as it stands now, with what its log still holds of the events
-- that the outbox does not.
--
-- KEYS[1] job     HASH
-- KEYS[2] meta    HASH
-- KEYS[3] dirty   ZSET
-- ARGV[1] member  text <tenant>/<job>
--
-- Returns {word, mark, first_seq, header, registration, gap_ms, partition_epoch, chunks}, oldest chunk first, the first may begin
-- before first_seq, or after it: then what lies between is lost. Word is ok, clean (not dirty any more) or gone (no such job)

local first_seq = redis.call('ZSCORE', KEYS[3], ARGV[1])
if not first_seq then return { 'clean' } end
local meta = redis.call('HMGET', KEYS[2], '_', 'ep', 'dm')
local mark = (meta[2] or '') .. '.' .. (meta[3] or '0')
local stored = redis.call('HMGET', KEYS[1], '_', 'r')
if not stored[1] then return { 'gone', mark } end
local gap_ms = meta[1] and string.match(meta[1], '^[^\t]*\t[^\t]*\t([^\t]*)') or '0'
local first, last = string.match(stored[1], '\t(%d+),(%d+),%d+,%d+,%d+,%d+\t[^\t]*$')
local chunks = {}
for n = last + 0, math.max(1, first + 0), -1 do -- the log is bounded
  local chunk = redis.call('HGET', KEYS[1], 'l:' .. n)
  local from, to = string.match(chunk or '', '^1\t[^\t]*\t[^\t]*\t(%d+)\t(%d+)')
  if not from or to + 0 < first_seq + 0 then break end
  table.insert(chunks, 1, chunk)
end
return { 'ok', mark, first_seq, stored[1], stored[2] or '', gap_ms, meta[2] or '0', chunks }
