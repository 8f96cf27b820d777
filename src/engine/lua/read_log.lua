#!lua flags=no-writes
-- read_log.lua: what was logged after a position, with the job as it stands now.
--
-- KEYS[1] job        HASH
-- KEYS[2] meta       HASH
-- ARGV[1] after_seq  int
--
-- Returns {'ok', header, gap_ms, partition_epoch, truncated, chunks}, oldest first, the first may begin before the position;
-- truncated = 1 when the log no longer reaches back to it. Or {'unknown_job'}

local header = redis.call('HGET', KEYS[1], '_')
if not header then return { 'unknown_job' } end
local meta = redis.call('HMGET', KEYS[2], '_', 'ep')
local gap_ms = meta[1] and string.match(meta[1], '^[^\t]*\t[^\t]*\t([^\t]*)') or '0'
local after = ARGV[1] + 0
local seq = string.match(header, '^1\t[^\t]*\t[^\t]*\t([^\t]*)') + 0
local first, last = string.match(header, '\t(%d+),(%d+),%d+,%d+,%d+,%d+\t[^\t]*$')
first, last = first + 0, last + 0
if after >= seq then return { 'ok', header, gap_ms, meta[2] or '0', 0, {} } end

local function bounds(n)
  local from, to = string.match(redis.call('HGET', KEYS[1], 'l:' .. n) or '', '^1\t[^\t]*\t[^\t]*\t(%d+)\t(%d+)')
  return tonumber(from), tonumber(to)
end
local oldest = last > 0 and bounds(first)
if not oldest or oldest > after + 1 then return { 'ok', header, gap_ms, meta[2] or '0', 1, {} } end

-- the chunk that holds after + 1: by halves
local low, high = first, last
while low < high do
  local middle = math.floor((low + high) / 2)
  local _, to = bounds(middle)
  if to > after then high = middle else low = middle + 1 end
end
local chunks = {}
for n = low, last do chunks[#chunks + 1] = redis.call('HGET', KEYS[1], 'l:' .. n) end
return { 'ok', header, gap_ms, meta[2] or '0', 0, chunks }
