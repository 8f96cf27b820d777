-- A job in memory: its header read into named fields and written back. Groups that few events need stay text until they are.

-- lid epoch seq rev state flags retry_at total completed failed retryable skipped canceled processing pending partial
-- reported initial created started proc_ms proc_since life updated state_since idle_since control deadline pace store reason
local HEADER = '^1' .. string.rep('\t([^\t]*)', 31) .. '$'

local function group_of_four(text)
  if text == '' then return nil end
  local completed, failed, skipped, canceled = match(text, '^([^,]*),([^,]*),([^,]*),([^,]*)$')
  return { completed = tonumber(completed), failed = tonumber(failed), skipped = tonumber(skipped), canceled = tonumber(canceled) }
end

local function load_job(job, header)
  local lid, epoch, seq, rev, state, flags, retry_at, total, completed, failed, retryable, skipped, canceled, processing, pending,
    partial, reported, initial, created, started, proc_ms, proc_since, life, updated, state_since, idle_since, control, deadline,
    pace, store, reason = match(header, HEADER)
  if not lid then
    if sub(header, 1, 2) ~= '1\t' then
      batch.newer = true
      return
    end
    error('a header that cannot be read: ' .. job.key)
  end
  job.known, job.lid, job.epoch, job.seq, job.rev, job.state = true, lid, epoch, seq + 0, rev + 0, state
  job.seq0, job.rev0, job.state0 = job.seq, job.rev, state
  job.rate_limited, job.stalled, job.heartbeat = false, false, false
  job.exceeded, job.auto_complete, job.fail_on_deadline, job.waits, job.stripped = false, false, false, false, false
  if flags ~= '' then
    job.rate_limited, job.stalled = find(flags, 'R', 1, true) ~= nil, find(flags, 'S', 1, true) ~= nil
    job.heartbeat, job.exceeded = find(flags, 'H', 1, true) ~= nil, find(flags, 'D', 1, true) ~= nil
    job.auto_complete, job.fail_on_deadline = find(flags, 'A', 1, true) ~= nil, find(flags, 'F', 1, true) ~= nil
    job.waits, job.stripped = find(flags, 'W', 1, true) ~= nil, find(flags, 'X', 1, true) ~= nil
  end
  job.retry_at, job.total = tonumber(retry_at), total + 0
  job.completed, job.failed, job.retryable, job.skipped = completed + 0, failed + 0, retryable + 0, skipped + 0
  job.canceled, job.processing, job.pending, job.partial = canceled + 0, processing + 0, pending + 0, partial + 0
  job.reported, job.initial = group_of_four(reported), group_of_four(initial)
  job.created, job.started, job.proc_ms, job.proc_since = created, started, proc_ms + 0, tonumber(proc_since)
  job.life, job.updated, job.state_since, job.idle_since = life + 0, updated, state_since + 0, tonumber(idle_since)
  job.control, job.deadline, job.pace, job.store, job.reason = control, tonumber(deadline), pace, store, reason
end

local function four_text(group)
  if not group then return '' end
  return (group.completed or '') .. ',' .. (group.failed or '') .. ',' .. (group.skipped or '') .. ',' .. (group.canceled or '')
end

local function flags_text(job)
  return (job.rate_limited and 'R' or '') .. (job.stalled and 'S' or '') .. (job.heartbeat and 'H' or '') ..
    (job.exceeded and 'D' or '') .. (job.auto_complete and 'A' or '') .. (job.fail_on_deadline and 'F' or '') ..
    (job.waits and 'W' or '') .. (job.stripped and 'X' or '')
end

local function header_text(job)
  return concat({
    '1', job.lid, job.epoch, job.seq, job.rev, job.state, flags_text(job), job.retry_at or '', job.total,
    job.completed, job.failed, job.retryable, job.skipped, job.canceled, job.processing, job.pending, job.partial,
    four_text(job.reported), four_text(job.initial), job.created, job.started, job.proc_ms, job.proc_since or '', job.life,
    job.updated, job.state_since, job.idle_since or '', job.control, job.deadline or '', job.pace, job.store, job.reason
  }, '\t')
end

-- id, action, time (service ms) and acknowledgement of the last request; id empty when none is open.
local function control_of(job)
  if job.control == '' then return '', '', nil, false end
  local id, action, at, acked = match(job.control, '^([^,]*),([^,]*),([^,]*),(.)$')
  return id, action, at + 0, acked == '1'
end

local function close_control(job)
  if job.control == '' or byte(job.control) == 44 then return end -- 44: begins with a comma, no open id
  job.control = sub(job.control, find(job.control, ',', 1, true), -1)
  job.control_changed = true
end

local function is_terminal(state)
  return state == 'completed' or state == 'canceled' or state == 'failed'
end

local function processes(state)
  return state == 'running' or state == 'pausing' or state == 'completing' or state == 'canceling'
end

-- The effective counter: the greater of the last reported and what was counted, initial values included.
local function effective(job, name)
  local value = job[name] + (job.initial and job.initial[name] or 0)
  local reported = job.reported and job.reported[name]
  if reported and reported > value then return reported end
  return value
end

local function settled(job)
  if not job.reported and not job.initial then return job.completed + job.failed + job.skipped + job.canceled end
  return effective(job, 'completed') + effective(job, 'failed') + effective(job, 'skipped') + effective(job, 'canceled')
end

local function processing_time(job, base)
  return job.proc_ms + (job.proc_since and max(0, base - job.proc_since) or 0)
end

-- One line of the log; `rest` begins with a tab or is empty.
local function log_event(job, letter, ms, cid, rest)
  local events = job.events
  events[#events + 1] = letter .. '\t' .. ms .. '\t' .. cid .. rest
  job.seq = job.seq + 1
end
