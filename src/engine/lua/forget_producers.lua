#!lua flags=allow-oom
-- forget_producers.lua: one step through the producers; those silent for an hour of service time are forgotten
-- (they take a new name after half of that).
--
-- KEYS[1] meta       HASH
-- KEYS[2] producers  HASH producer → last number, last seen (service ms)
-- ARGV[1] position   int  of HSCAN; 0 = from the beginning
-- ARGV[2] silent_ms  int
--
-- Returns {word, position, forgotten}: ok or absent

local packed = redis.call('HGET', KEYS[1], '_')
if not packed then return { 'absent', '0', 0 } end
local gap_ms, last_ms = string.match(packed, '^1\t[^\t]*\t([^\t]*)\t[^\t]*\t([^\t]*)\t')
local oldest = last_ms - gap_ms - ARGV[2]
local step = redis.call('HSCAN', KEYS[2], ARGV[1], 'COUNT', 100)
local forgotten = {}
for at = 1, #step[2], 2 do
  local seen = string.match(step[2][at + 1], '\t(%-?%d+)')
  if step[2][at] ~= '-' and seen and seen + 0 < oldest then forgotten[#forgotten + 1] = step[2][at] end
end
if #forgotten > 0 then redis.call('HDEL', KEYS[2], unpack(forgotten)) end
return { 'ok', step[1], #forgotten }
