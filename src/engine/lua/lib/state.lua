-- What one call knows besides its jobs: settings, keys, clocks and counters of the partition, what was read and what is
-- to be written. One table, since every local that a function captures costs at every call of the script.

-- Events in the order of the stream, in parallel lists: kind, job, event, its text, name of the item's field,
-- and for the most frequent kind, `short`, the state as event and the tail (lib/item.lua).
local kinds, targets, events, lines, names, tails = {}, {}, {}, {}, {}, {}

local R = {
  -- settings
  job_prefix = ARGV[1], partition = ARGV[4] + 0, partitions = ARGV[5] + 0, control_timeout = ARGV[9], stall_after = ARGV[10],
  abandon_after = ARGV[11], retention = ARGV[12], log_events = ARGV[13] + 0, log_bytes = ARGV[14] + 0, items_max = ARGV[15] + 0,
  sink = ARGV[17] ~= '0', waiting_max = ARGV[19] + 0,
  -- the partition; times in ms, last_epoch and change as in docs/engine.md §8
  cursor = '', gap_ms = 0, gap_end = 0, last_ms = 0, now = 0, change = 0, last_epoch = 0, bytes_in = 0, waiting = 0,
  epoch = stored_meta[2] + 0, outbox_position = stored_meta[4]:match('^%d+') + 0, more = false,
  -- the event being reduced: time of its entry on both clocks, as number and as text
  base = 0, base_text = '', ms = '', entry = false,
  -- what was read: jobs by member, entries, their events in parallel lists
  jobs = {}, order = {}, entries = {}, producers = {}, producer_names = {}, count = 0,
  -- results
  applied = 0, repeated = 0, ignored = 0, rejected = 0, gaps = 0, timers = 0, dead_letters = {}, answers = {}, newer = false
}

-- Time in which nobody drained is no service time.
do
  local cursor, gap_ms, gap_end, last_ms, change, last_epoch, bytes_in, waiting =
    stored_meta[1]:match('^1\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$')
  if not cursor then return { 'newer_format', 0, '', 0, 0, 0, 0, 0, 0, 0, 0 } end
  local now = ARGV[6] + 0
  if now == 0 then now = started_at[1] * 1000 + math.floor(started_at[2] / 1000) end
  gap_ms, gap_end, last_ms = gap_ms + 0, gap_end + 0, last_ms + 0
  now = math.max(now, last_ms)
  if now - last_ms > 5000 then gap_ms, gap_end = gap_ms + now - last_ms, now end
  R.cursor, R.gap_ms, R.gap_end, R.last_ms, R.now, R.change = cursor, gap_ms, gap_end, last_ms, now, change + 0
  R.last_epoch, R.bytes_in, R.waiting = last_epoch + 0, bytes_in + 0, waiting + 0
end

-- Sets the clock of what is reduced next: an entry's own ms, or the end of the last gap.
function R.set_time(ms)
  if ms ~= R.ms then
    R.ms, R.base = ms, math.max(ms + 0, R.gap_end) - R.gap_ms
    R.base_text = ('%d'):format(R.base)
  end
end
