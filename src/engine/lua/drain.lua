#!lua flags=allow-oom
-- drain.lua: the reducer. Reads a partition's entries behind the cursor, folds them into their jobs, fires due timers,
-- writes jobs, outbox and cursor, publishes and trims, in one atomic step. Whoever calls it, however often: an entry
-- takes effect once. Redis never rolls a script back, so everything that can fail stands before the first write.
--
-- KEYS[1] ingest     STREAM entries of workers and users
-- KEYS[2] meta       HASH   cursor, clocks, epochs, outbox position
-- KEYS[3] agenda     ZSET   <tenant>/<job> → next due time
-- KEYS[4] jobs       ZSET   <tenant>/<epoch>/<job> → 0
-- KEYS[5] outbox     STREAM new states and logged events for the persister
-- KEYS[6] dirty      ZSET   jobs changed while the outbox was full
-- KEYS[7] answers    STREAM effects of entries that asked for one
-- KEYS[8] rejected   STREAM dead letters
-- KEYS[9] producers  HASH   producer → last number, last seen
-- ARGV[1] job_prefix          text what a job's key begins with
-- ARGV[2] tenant_prefix       text what a tenant's channel begins with
-- ARGV[3] publish             word PUBLISH, or SPUBLISH on a Cluster
-- ARGV[4] partition           int
-- ARGV[5] partitions          int
-- ARGV[6] now_ms              int  0 = Redis's own clock
-- ARGV[7] events_max          int  stop after the entry that reaches it
-- ARGV[8] jobs_max            int  the same for distinct jobs
-- ARGV[9] control_timeout_ms  int
-- ARGV[10] stall_after_ms     int
-- ARGV[11] abandon_after_ms   int
-- ARGV[12] retention_ms       int
-- ARGV[13] log_events_max     int
-- ARGV[14] log_bytes_max      int
-- ARGV[15] items_max          int
-- ARGV[16] rejected_max       int
-- ARGV[17] outbox_bytes_max   int  0 = no sink, no outbox
-- ARGV[18] outbox_hold        int  1 = stop while the outbox is full, 0 = mark jobs dirty
-- ARGV[19] waiting_jobs_max   int
--
-- Returns {word, entries, cursor, more, elapsed_us, applied, repeated, ignored, rejected, gaps, timers}; word is
-- ok             entries were read up to the bound; more = 1 when there may be others
-- newer_format   stopped before an entry of a newer build
-- absent         the partition was never created, or was wiped: create_partition.lua
-- torn           keys are missing (a slot on the move): nothing was written, try again
-- replica_changed  another Redis answers than the one that wrote meta: bump_epoch.lua
-- held           the outbox is full and outbox_hold is set

local started_at = redis.call('TIME')
local stored_meta = redis.call('HMGET', KEYS[2], '_', 'ep', 'rid', 'ob', 'obb')
if not stored_meta[1] then return { 'absent' } end
if redis.call('EXISTS', unpack(KEYS)) ~= 9 then return { 'torn' } end
local replication = redis.call('INFO', 'replication')
if not string.find(replication, 'master_replid:' .. stored_meta[3], 1, true) then return { 'replica_changed' } end

local keys = {
  ingest = KEYS[1], meta = KEYS[2], agenda = KEYS[3], jobs = KEYS[4], outbox = KEYS[5], dirty = KEYS[6], answers = KEYS[7],
  rejected = KEYS[8], producers = KEYS[9]
}
local limits = {
  partition = ARGV[4] + 0, partitions = ARGV[5] + 0, control_timeout = ARGV[9] + 0, stall_after = ARGV[10] + 0,
  abandon_after = ARGV[11] + 0, retention = ARGV[12] + 0, log_events = ARGV[13] + 0, log_bytes = ARGV[14] + 0,
  items = ARGV[15] + 0, sink = ARGV[17] ~= '0', waiting = ARGV[19] + 0,
  event_bytes = 16384, title_bytes = 512, text_bytes = 2048, metadata_bytes = 4096
}
local partition_epoch, outbox_position = stored_meta[2] + 0, string.match(stored_meta[4], '^%d+') + 0
local batch = { entries = {}, jobs = {}, order = {}, events = 0, producers = {}, producer_names = {} }
local clock -- gap_ms, now, last_epoch, waiting; set by lib/clock.lua

-- #include lib/text.lua
-- #include lib/clock.lua
-- #include lib/json.lua
-- #include lib/time.lua
-- #include lib/parse_packed.lua
-- #include lib/parse_flat.lua
-- #include lib/job.lua
-- #include lib/pace.lua
-- #include lib/moves.lua
-- #include lib/item.lua
-- #include lib/register.lua
-- #include lib/reduce.lua
-- #include lib/timers.lua
-- #include lib/read.lua
-- #include lib/apply.lua
-- #include lib/write.lua

local outbox_full = limits.sink and clock.bytes_in - (tonumber(stored_meta[5]) or 0) >= ARGV[17] + 0
if outbox_full and ARGV[18] == '1' then return { 'held' } end

local stored_cursor = clock.cursor
local word = read_entries(ARGV[7] + 0, ARGV[8] + 0)
local at_end = { base = clock.now - clock.gap_ms, ms = string.format('%.0f', clock.now) }
if clock.more then at_end = { base = clock.last_entry_base, ms = clock.last_entry_ms } end
read_jobs(at_end.base)
if batch.newer then return { 'newer_format', 0, stored_cursor, 0, 0, 0, 0, 0, 0, 0, 0 } end
if not preflight() then return { 'torn' } end
apply_entries()
fire_timers(at_end)
if #batch.entries > 0 or #batch.order > 0 or clock.now - clock.last_ms >= 1000 then
  prepare_writes(outbox_full, at_end.base)
  write_all()
end
local ended_at = redis.call('TIME')
return {
  word, #batch.entries, clock.cursor, clock.more and 1 or 0,
  (ended_at[1] - started_at[1]) * 1000000 + ended_at[2] - started_at[2],
  counts.applied, counts.repeated, counts.ignored, counts.rejected, counts.gaps, counts.timers
}
