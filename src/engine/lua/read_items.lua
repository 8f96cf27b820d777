#!lua flags=no-writes
-- read_items.lua: a page of a job's items in the order of first sight.
--
-- KEYS[1] job       HASH
-- KEYS[2] meta      HASH
-- ARGV[1] index     int   of the first item looked at, from 0
-- ARGV[2] limit     int   items wanted
-- ARGV[3] state     word  only items in it; empty = all
-- ARGV[4] scan_max  int   items looked at, at most
--
-- Returns {'ok', header, gap_ms, partition_epoch, next_index, ids, records}, next_index empty at the end; or {'unknown_job'},
-- or {'lost'} as of read_job.lua

-- #include lib/restoring.lua

local PAGE_ITEMS = 16
local header = redis.call('HGET', KEYS[1], '_')
if not header and restoring(KEYS[2]) then return { 'lost' } end
if not header then return { 'unknown_job' } end
local meta = redis.call('HMGET', KEYS[2], '_', 'ep')
local gap_ms = meta[1] and string.match(meta[1], '^[^\t]*\t[^\t]*\t([^\t]*)') or '0'
local seen = string.match(header, '\t%d+,%d+,%d+,%d+,(%d+),%d+\t[^\t]*$') + 0
local job_state = string.match(header, '^1\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t([^\t]*)')

-- On a canceled job, items that were not settled read as canceled.
local wanted = ARGV[3] ~= '' and { [ARGV[3]] = true } or nil
if wanted and job_state == 'canceled' then
  local also = ARGV[3] == 'canceled'
  wanted.pending, wanted.processing = also or nil, also or nil
end

local index, limit, left = ARGV[1] + 0, ARGV[2] + 0, ARGV[4] + 0
local ids, records = {}, {}
while index < seen and #ids < limit and left > 0 do
  local page = redis.call('HGET', KEYS[1], 'o:' .. math.floor(index / PAGE_ITEMS))
  if not page then break end
  local page_ids, fields, at = {}, {}, 0
  for id in string.gmatch(page, '[^\t]+') do
    if at >= index % PAGE_ITEMS then page_ids[#page_ids + 1], fields[#fields + 1] = id, 'i:' .. id end
    at = at + 1
  end
  local found = redis.call('HMGET', KEYS[1], unpack(fields))
  for n, id in ipairs(page_ids) do
    if #ids >= limit then break end
    index, left = index + 1, left - 1
    if not wanted or wanted[string.match(found[n] or '', '^[^\t]*')] then
      ids[#ids + 1], records[#records + 1] = id, found[n]
    end
  end
end
return { 'ok', header, gap_ms, meta[2] or '0', index < seen and tostring(index) or '', ids, records }
