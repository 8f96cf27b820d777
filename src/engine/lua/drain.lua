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
-- Returns {word, entries, cursor, more, elapsed_us, applied, repeated, ignored, rejected, gaps, timers, epoch, refusals}, the epoch
-- of the partition's last data loss and the codes of what was rejected with ok only; word is
-- ok             entries were read up to the bound; more = 1 when there may be others
-- newer_format   stopped before an entry of a newer build
-- absent         the partition was never created, or was wiped: create_partition.lua
-- torn           keys are missing (a slot on the move): nothing was written, try again
-- replica_changed  another Redis answers than the one that wrote meta: bump_epoch.lua
-- held           the outbox is full and outbox_hold is set
-- restoring      the partition was lost, and the persister puts its jobs back: for a bounded time their events wait

local started_at = redis.call('TIME')
local sink = ARGV[17] ~= '0'
local stored_meta = sink and redis.call('HMGET', KEYS[2], '_', 'ep', 'rid', 'ob', 'obb', 'hold') or redis.call('HMGET', KEYS[2], '_', 'ep', 'rid')
if not stored_meta[1] then return { 'absent' } end
if redis.call('EXISTS', unpack(KEYS)) ~= 9 then return { 'torn' } end
if not redis.call('INFO', 'replication'):find('master_replid:' .. stored_meta[3], 1, true) then return { 'replica_changed' } end

-- #include lib/state.lua

-- A function costs at every call of the script that makes it. So what few calls need is made when its name is first
-- asked for, in steps: what a full log needs; what any update of an item may need; all that is rare; in it by the first call what
-- is rarer still.
local function make_rare(_, name)
  setmetatable(R, nil)
-- #include lib/any_due.lua
-- #include lib/moves.lua
-- #include lib/read_any.lua
-- #include lib/refused.lua
  if not R.trim_log then
-- #include lib/trim.lua
  end
  function R.parse_flat(fields)
-- #include lib/flat/json.lua
-- #include lib/flat/time.lua
-- #include lib/flat/fields.lua
    R.parse_flat = parse_flat
    return parse_flat(fields)
  end
  function R.other_line(line)
-- #include lib/lines.lua
    R.other_line = other_line
    return other_line(line)
  end
  function R.reduce_job_event(...)
    local COUNTERS = { 'completed', 'failed', 'skipped', 'canceled' }
-- #include lib/register.lua
-- #include lib/job_events.lua
    R.reduce_job_event = reduce_job_event
    return reduce_job_event(...)
  end
  function R.fire(job)
-- #include lib/timers.lua
    R.fire = fire
    fire(job)
  end
  return R[name]
end
local function make_item(_, name)
  if name == 'trim_log' then
-- #include lib/trim.lua
    return R.trim_log
  end
  setmetatable(R, { __index = make_rare })
-- #include lib/text.lua
-- #include lib/counters.lua
-- #include lib/item.lua
  return R[name]
end
setmetatable(R, { __index = make_item })

-- #include lib/job.lua
-- #include lib/pace.lua
-- #include lib/short_item.lua
-- #include lib/due.lua
-- #include lib/read.lua

if sink and stored_meta[6] and now < stored_meta[6] + 0 then return { 'restoring' } end
local outbox_full = sink and R.bytes_in - (tonumber(stored_meta[5]) or 0) >= ARGV[17] + 0
if outbox_full and ARGV[18] == '1' then return { 'held' } end

-- From here on what stands in lib is no function any more: it runs where it is included.
local word = R.read_entries(ARGV[7] + 0, ARGV[8] + 0)
-- Timers run at now, or while a backlog remains at the time of the last entry, so that load cannot starve them.
local end_ms, end_base = ('%d'):format(now), now - gap_ms
if R.more then
  R.set_time(R.entries[#R.entries][N_MS])
  end_ms, end_base = R.ms, R.base
end
-- #include lib/read_jobs.lua
-- #include lib/apply.lua
R.ms, R.base, R.base_text = end_ms, end_base, ('%d'):format(end_base)
-- #include lib/fire.lua
if #R.entries > 0 or #R.order > 0 or now - last_ms >= 1000 then
-- #include lib/prepare.lua
-- #include lib/write.lua
end
local refusals = {}
for at = 1, #(R.dead_letters or {}) do refusals[at] = R.dead_letters[at][6] end -- their codes
local ended_at = redis.call('TIME')
return {
  word, #R.entries, R.cursor, R.more and 1 or 0, (ended_at[1] - started_at[1]) * 1000000 + ended_at[2] - started_at[2],
  R.count - R.repeated - R.ignored - R.rejected - R.skipped, R.repeated, R.ignored, R.rejected, R.gaps, R.timers, stored_meta[2],
  table.concat(refusals, ' ')
}
