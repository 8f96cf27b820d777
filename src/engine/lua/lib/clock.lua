-- Clocks and counters of the partition, from `meta._`. Time in which nobody drained is no service time.

local GAP_MIN_MS = 5000
local META = '^1\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$'

local function read_clock()
  local cursor, gap_ms, gap_end, last_ms, change, last_epoch, bytes_in, waiting = match(stored_meta[1], META)
  if not cursor then error('meta of another format: this build reads 1') end
  local given = ARGV[6] + 0
  local now = given > 0 and given or started_at[1] * 1000 + floor(started_at[2] / 1000)
  gap_ms, gap_end, last_ms = gap_ms + 0, gap_end + 0, last_ms + 0
  now = max(now, last_ms)
  if now - last_ms > GAP_MIN_MS then gap_ms, gap_end = gap_ms + now - last_ms, now end
  clock = {
    cursor = cursor, gap_ms = gap_ms, gap_end = gap_end, last_ms = last_ms, now = now, change = change + 0,
    last_epoch = last_epoch + 0, bytes_in = bytes_in + 0, waiting = waiting + 0, more = false
  }
end

local function meta_text()
  return concat({
    '1', clock.cursor, clock.gap_ms, clock.gap_end, clock.now, clock.change, string.format('%.0f', clock.last_epoch), clock.bytes_in,
    clock.waiting
  }, '\t')
end

read_clock()
