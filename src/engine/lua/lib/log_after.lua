-- The chunks of a job's log that hold what came after a position, oldest first; the first may begin before it. Where to
-- begin is found by halves, so a client that missed little costs little.
--
-- `events_max`: no further chunk once those taken hold so many events after the position; nil = all.
-- `anyway`: what there is, when the log does not reach back to the position; otherwise nothing then.

local function log_after(key, header, after, events_max, anyway)
  local seq = string.match(header, '^1\t[^\t]*\t[^\t]*\t([^\t]*)') + 0
  local first, last = string.match(header, '\t(%d+),(%d+),%d+,%d+,%d+,%d+\t[^\t]*$')
  first, last = first + 0, last + 0
  if after == seq then return 0, {} end
  if after > seq then return 1, {} end

  local function read(n)
    local chunk = redis.call('HGET', key, 'l:' .. n) or ''
    local from, to = string.match(chunk, '^1\t[^\t]*\t[^\t]*\t(%d+)\t(%d+)')
    return tonumber(from), tonumber(to), chunk
  end
  local oldest = last > 0 and read(first)
  local truncated = (not oldest or oldest > after + 1) and 1 or 0
  if not oldest or (truncated == 1 and not anyway) then return 1, {} end

  local low, high = first, last
  while low < high do
    local middle = math.floor((low + high) / 2)
    local _, to = read(middle)
    if to > after then high = middle else low = middle + 1 end
  end
  local chunks, start = {}, math.max(after, oldest - 1)
  for n = low, last do
    local _, to, chunk = read(n)
    chunks[#chunks + 1] = chunk
    if events_max and to - start >= events_max then break end
  end
  return truncated, chunks
end
