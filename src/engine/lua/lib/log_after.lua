-- The chunks of a job's log that hold what came after a position, oldest first; the first may begin before it. Where to
-- begin is found by halves, so a client that missed little costs little.

local function log_after(key, header, after)
  local seq = string.match(header, '^1\t[^\t]*\t[^\t]*\t([^\t]*)') + 0
  local first, last = string.match(header, '\t(%d+),(%d+),%d+,%d+,%d+,%d+\t[^\t]*$')
  first, last = first + 0, last + 0
  if after == seq then return 0, {} end
  if after > seq then return 1, {} end

  local function bounds(n)
    local from, to = string.match(redis.call('HGET', key, 'l:' .. n) or '', '^1\t[^\t]*\t[^\t]*\t(%d+)\t(%d+)')
    return tonumber(from), tonumber(to)
  end
  local oldest = last > 0 and bounds(first)
  if not oldest or oldest > after + 1 then return 1, {} end

  local low, high = first, last
  while low < high do
    local middle = math.floor((low + high) / 2)
    local _, to = bounds(middle)
    if to > after then high = middle else low = middle + 1 end
  end
  local chunks = {}
  for n = low, last do chunks[#chunks + 1] = redis.call('HGET', key, 'l:' .. n) end
  return 0, chunks
end
