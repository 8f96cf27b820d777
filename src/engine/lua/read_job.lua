#!lua flags=no-writes
-- read_job.lua: what a watcher needs, new or returning, as one consistent view: the job, the items that were logged last,
-- and what was logged after the position it stood at. Two reads would race with the reducer.
--
-- KEYS[1] job         HASH
-- KEYS[2] meta        HASH
-- ARGV[1] items_max   int  items wanted, newest first
-- ARGV[2] chunks_max  int  chunks of the log looked through for them
-- ARGV[3] after_seq   int  the position; -1 = none, no log is read
--
-- Returns {'ok', header, registration, gap_ms, partition_epoch, now_ms, ids, records, truncated, chunks, open_ids, open_records} or
-- {'unknown_job'}, or {'lost'}: it is not there, but its partition was lost and jobs may be put back; truncated = 1 when the log does not continue the position; open = further items in process, when one was given

-- #include lib/log_after.lua
-- #include lib/open_items.lua
-- #include lib/restoring.lua

local stored = redis.call('HMGET', KEYS[1], '_', 'r')
if not stored[1] and restoring(KEYS[2]) then return { 'lost' } end
if not stored[1] then return { 'unknown_job' } end
local meta = redis.call('HMGET', KEYS[2], '_', 'ep')
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local gap_ms = meta[1] and string.match(meta[1], '^[^\t]*\t[^\t]*\t([^\t]*)') or '0'

local first, last = string.match(stored[1], '\t(%d+),(%d+),%d+,%d+,%d+,%d+\t[^\t]*$')
local ids, fields, seen = {}, {}, {}
local oldest = math.max(first, last - ARGV[2] + 1)
for n = last + 0, oldest, -1 do
  if n < 1 or #ids >= ARGV[1] + 0 then break end
  local lines = {}
  for line in string.gmatch(redis.call('HGET', KEYS[1], 'l:' .. n) or '', '[^\n]+') do lines[#lines + 1] = line end
  for at = #lines, 2, -1 do
    local id = string.match(lines[at], '^[qscfkxr]\t[^\t]*\t[^\t]*\t([^\t]*)')
    if id and not seen[id] and #ids < ARGV[1] + 0 then
      seen[id] = true
      ids[#ids + 1], fields[#fields + 1] = id, 'i:' .. id
    end
  end
end
local records = #fields > 0 and redis.call('HMGET', KEYS[1], unpack(fields)) or {}
local truncated, chunks = 0, {}
if ARGV[3] ~= '-1' then truncated, chunks = log_after(KEYS[1], stored[1], ARGV[3] + 0) end
local open_ids, open_records = {}, {}
if ARGV[3] ~= '-1' then open_ids, open_records = open_items(KEYS[1], stored[1], ids, records, ARGV[1] + 0) end
return { 'ok', stored[1], stored[2], gap_ms, meta[2] or '0', now, ids, records, truncated, chunks, open_ids, open_records }
