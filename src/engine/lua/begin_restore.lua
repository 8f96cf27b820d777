#!lua flags=allow-oom
-- begin_restore.lua: what a restore needs to know of a partition; and its epoch becomes greater than any that the database has
-- seen of it, which a wiped Redis cannot know.
--
-- KEYS[1] meta      HASH
-- ARGV[1] above_ms  int  greatest epoch of a row; 0 = none known yet
--
-- Returns {word, born, now_ms, gap_ms}: needed; done (it was restored since it was made); or absent

local meta = redis.call('HMGET', KEYS[1], '_', 'ep', 'born', 'restored')
if not meta[1] then return { 'absent', '', 0, 0 } end
local before, gap_ms, between, last_epoch, rest = string.match(meta[1], '^(1\t[^\t]*\t)([^\t]*)(\t[^\t]*\t[^\t]*\t[^\t]*\t)([^\t]*)(\t.*)$')
if ARGV[1] + 0 >= meta[2] + 0 then
  local epoch = string.format('%.0f', math.max(ARGV[1], last_epoch) + 1)
  redis.call('HSET', KEYS[1], '_', before .. gap_ms .. between .. epoch .. rest, 'ep', epoch)
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return { meta[3] and meta[3] == meta[4] and 'done' or 'needed', meta[3] or '', now, gap_ms }
