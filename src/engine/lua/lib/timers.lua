-- Due times of a job, on the partition's service clock, and what happens when one has come.

local SETTLE_MS = 1000
local RETRY_MS = 5000

-- Timers in the order in which ties fire; each gives its due time or nil.
local function deadline_due(job)
  if not job.deadline or job.exceeded or not job.proc_since then return nil end
  return job.proc_since + job.deadline - job.proc_ms
end

local function settle_due(job)
  if (job.state ~= 'pausing' and job.state ~= 'canceling') or job.processing > 0 or not job.idle_since then return nil end
  return max(job.idle_since, job.state_since) + SETTLE_MS
end

local function control_due(job)
  if job.state ~= 'pausing' and job.state ~= 'canceling' then return nil end
  local id, _, at = control_of(job)
  if id ~= '' then return at + limits.control_timeout end
  return max(job.life, at or 0, job.state_since) + limits.control_timeout
end

local function stall_due(job)
  if job.state ~= 'running' or not job.heartbeat or job.stalled then return nil end
  return max(job.life, job.state_since) + limits.stall_after
end

local function abandon_due(job)
  local _, _, at = control_of(job)
  return max(job.life, at or 0) + limits.abandon_after
end

local function next_due(job)
  if is_terminal(job.state) then return job.wait_until or job.state_since + limits.retention, 'retention' end
  local due, name = abandon_due(job), 'abandon'
  local stall = stall_due(job)
  if stall and stall <= due then due, name = stall, 'stall' end
  if job.rate_limited and job.retry_at <= due then due, name = job.retry_at, 'retry' end
  local control = control_due(job)
  if control and control <= due then due, name = control, 'control' end
  local settle = settle_due(job)
  if settle and settle <= due then due, name = settle, 'settle' end
  local deadline = deadline_due(job)
  if deadline and deadline <= due then due, name = deadline, 'deadline' end
  return due, name
end

-- A finished job may leave when the persister is through with it; before that it waits, beyond a number only as its header.
local function retire(job, when)
  if job.rev ~= job.rev0 then -- what happened in this call is to be told first
    job.wait_until = when.base + 1
    return
  end
  if limits.sink then
    local outbox = match(job.store, '([^,]*)$') + 0
    if outbox > outbox_position or redis.call('ZSCORE', keys.dirty, job.member) then
      job.wait_until = when.base + RETRY_MS
      if not job.waits then
        job.waits = true
        clock.waiting = clock.waiting + 1
      end
      if clock.waiting > limits.waiting and not job.stripped then job.stripped, job.strip = true, true end
      return
    end
  end
  if job.waits then clock.waiting = clock.waiting - 1 end
  job.gone = true
end

local function fire(job, name, when)
  if name == 'retention' then return retire(job, when) end
  if name == 'deadline' then
    job.exceeded, job.changed = true, true
    log_event(job, 'D', when.ms, '', '')
    if job.fail_on_deadline then move(job, 'failed', 'deadline_exceeded', false, when, '') end
  elseif name == 'settle' then
    move(job, job.state == 'pausing' and 'paused' or 'canceled', 'items_settled', false, when, '')
  elseif name == 'control' then
    move(job, job.state == 'pausing' and 'paused' or 'canceled', 'control_timeout', true, when, '')
  elseif name == 'retry' then
    clear_rate_limit(job, when, '')
  elseif name == 'stall' then
    job.stalled, job.changed = true, true
    log_event(job, 'T', when.ms, '', '')
  else
    move(job, 'failed', 'abandoned', false, when, '')
  end
end

-- Fires what is due by now, in order. Returns how many.
local function fire_due(job, when)
  local fired = 0
  while true do
    local due, name = next_due(job)
    if due > when.base or job.gone then return fired end
    job.changed = false
    fire(job, name, when)
    if job.changed then job.rev, job.updated = job.rev + 1, when.ms end
    fired = fired + 1
  end
end
