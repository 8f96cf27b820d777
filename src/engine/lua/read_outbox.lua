#!lua flags=no-writes
-- read_outbox.lua: what stands behind a position of the outbox, whole entries, until a bound is passed.
--
-- KEYS[1] meta          HASH
-- KEYS[2] outbox        STREAM
-- KEYS[3] dirty         ZSET
-- ARGV[1] after         text an entry's id; empty = the stored position
-- ARGV[2] entries_max   int
-- ARGV[3] bytes_max     int  of messages; the entry that passes it is the last one
--
-- Returns {word, from, to, more, bytes, waiting_bytes, dirty_jobs, epoch, now_ms, entries}, each entry as {id, bytes, message, …}; `more` = 1
-- when a bound ended the read;
-- word is ok, absent (never created, or wiped) or newer_format

local stored = redis.call('HMGET', KEYS[1], '_', 'ob', 'obb', 'ep')
if not stored[1] then return { 'absent' } end
local bytes_in = string.match(stored[1], '^1\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t([^\t]*)')
if not bytes_in then return { 'newer_format' } end
local from = ARGV[1] ~= '' and ARGV[1] or stored[2]
local entries_max, bytes_max = ARGV[2] + 0, ARGV[3] + 0
local list, bytes, entries, to, step, more = {}, 0, 0, from, 2, 1
while more == 1 and entries < entries_max and bytes < bytes_max do
  local found = redis.call('XRANGE', KEYS[2], '(' .. to, '+', 'COUNT', step)
  for at = 1, #found do
    if bytes >= bytes_max then break end
    local fields, size = found[at][2], 0
    local entry = { found[at][1], 0 }
    for n = 2, #fields, 2 do
      entry[#entry + 1] = fields[n]
      size = size + #fields[n]
    end
    entry[2], list[#list + 1], bytes = size, entry, bytes + size
    to, entries = found[at][1], entries + 1
  end
  if #found < step and (#found == 0 or to == found[#found][1]) then more = 0 end
  step = math.max(1, math.min(entries_max - entries, math.floor((bytes_max - bytes) * entries / math.max(1, bytes)) + 1))
end
local time = redis.call('TIME')
return {
  'ok', from, to, more, bytes, math.max(0, bytes_in - (tonumber(stored[3]) or 0)), redis.call('ZCARD', KEYS[3]) - 1, stored[4],
  string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), list
}
