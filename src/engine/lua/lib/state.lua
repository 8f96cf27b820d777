-- What one call knows besides its jobs: settings, keys, clocks and counters of the partition, what was read and what is
-- to be written. One table, since every local that a function captures costs at every call of the script.

-- Events in the order of the stream, in parallel lists: kind (none for the most frequent, short ones: lib/short_item.lua),
-- job, slot of the item among what is read of it, event (of a short one the state; its item and tail beside it), line or
-- its place. Made with some room, since a list costs most while it is short and grows.
local kinds = {}
local targets, slots, events = { nil, nil, nil, nil, nil, nil, nil, nil }, { nil, nil, nil, nil, nil, nil, nil, nil }, { nil, nil, nil, nil, nil, nil, nil, nil }
local items, tails, lines = { nil, nil, nil, nil, nil, nil, nil, nil }, { nil, nil, nil, nil, nil, nil, nil, nil }, { nil, nil, nil, nil, nil, nil, nil, nil }

-- Settings, looked up where they are needed.
-- #constant PARTITION ARGV[4] + 0
-- #constant PARTITIONS (ARGV[5] + 0)
-- #constant CONTROL_TIMEOUT ARGV[9]
-- #constant STALL_AFTER ARGV[10]
-- #constant ABANDON_AFTER ARGV[11]
-- #constant RETENTION ARGV[12]
-- #constant LOG_EVENTS ARGV[13] + 0
-- #constant LOG_BYTES ARGV[14] + 0
-- #constant WAITING_MAX ARGV[19] + 0

local cursor, gap_ms, gap_end, last_ms, change, last_epoch, bytes_in, waiting = stored_meta[1]:match('^1{8 columns}$')
if not cursor then return { 'newer_format', 0, '', 0, 0, 0, 0, 0, 0, 0, 0 } end
gap_ms, gap_end, last_ms = gap_ms + 0, gap_end + 0, last_ms + 0
local now = ARGV[6] + 0
if now == 0 then now = started_at[1] * 1000 + math.floor(started_at[2] / 1000) end
if now < last_ms then now = last_ms end
if now - last_ms > 5000 then gap_ms, gap_end = gap_ms + now - last_ms, now end -- time in which nobody drained is no service time

-- Made with all its names: a table that grows costs more than all that stands in it.
local R = {
  items_max = ARGV[15] + 0, sink = sink,
  -- the partition; times in ms, last_epoch and change as in docs/engine.md §8
  cursor = cursor, gap_ms = gap_ms, gap_end = gap_end, last_ms = last_ms, now = now, change = change + 0, last_epoch = last_epoch,
  bytes_in = bytes_in + 0, waiting = waiting + 0, epoch = stored_meta[2] + 0, more = false,
  -- the event being reduced: time of its entry on both clocks, as number and as text
  base = 0, base_text = '', ms = '', started = false, entry = false, at = 0, nth = 1, texts = false,
  duration = false, duration_text = '', -- the last one made a text
  -- what was read: jobs by member, entries, their events in parallel lists
  jobs = {}, order = {}, entries = {}, producers = {}, producer_names = false, count = 0,
  -- results: what was read and neither repeated, ignored, rejected nor skipped (behind a gap) was applied
  repeated = 0, ignored = 0, rejected = 0, skipped = 0, gaps = 0, timers = 0, dead_letters = false, answers = false, newer = false,
  -- functions
  set_time = false, new_job = false, load_header = false, sign_of_life = false, keep_pace = false, read_pace = false,
  processing_time = false, oldest_duration = false,
  reduce_short = false, next_due = false, is_id = false, job_of = false, slot_of = false, add_batch = false, producer_of = false,
  add_entry = false, read_entries = false, is_after = false, begin_entry = false, reduce_all = false
}

-- Sets the clock of what is reduced next: an entry's own ms, or the end of the last gap.
function R.set_time(ms)
  if ms == R.ms then return end
  local at, gap = ms + 0, R.gap_ms
  if at < R.gap_end then at = R.gap_end end
  R.ms, R.base, R.started = ms, at - gap, false
  R.base_text = at - gap == ms + 0 and ms or ('%d'):format(at - gap)
end
