-- One event against its job. Everything is checked before anything changes: a refused event leaves no trace in the job.

local function refuse_move(job, target, targets)
  refuse('invalid_transition', 'job ' .. job.id .. ' cannot go from ' .. job.state .. ' to ' .. target, job.state, targets)
end

local function reduce_state(job, event, when)
  local target, state = event.state, job.state
  local retry_at = whole(event.retry_at, 'retry_at') or ''
  local resume = flag(event.resume, 'resume')
  if target == 'rate_limited' then
    if is_terminal(state) then refuse('job_ended', 'job ' .. job.id .. ' is ' .. state, state) end
    sign_of_life(job, when, event.cid)
    set_rate_limit(job, retry_at, event.reason, when, event.cid)
    return job.changed and 'applied' or 'repeat'
  end
  if not find(' pending running pausing paused completing completed canceling canceled failed ', ' ' .. target .. ' ', 1, true) or target == '' then
    refuse('invalid_field', 'state ' .. cut(target, 64) .. ' is no state of a job')
  end
  if target == state then
    if not is_terminal(state) then sign_of_life(job, when, event.cid) end
    if target == 'running' then clear_rate_limit(job, when, event.cid) end
    return job.changed and 'applied' or 'repeat'
  end
  if target == 'running' and (state == 'completing' or state == 'canceling' or (not resume and (state == 'pausing' or state == 'paused'))) then
    sign_of_life(job, when, event.cid)
    return job.changed and 'applied' or 'ignored'
  end
  if not find(WORKER_MOVES, ' ' .. state .. '>' .. target .. ' ', 1, true) then refuse_move(job, target, worker_targets(state)) end
  sign_of_life(job, when, event.cid)
  if target == 'running' then clear_rate_limit(job, when, event.cid) end
  close_control(job) -- whatever was asked, the worker has gone its own way
  move(job, target, event.reason, false, when, event.cid)
  return 'applied'
end

local COUNTERS = { 'completed', 'failed', 'skipped', 'canceled' }

local function reduce_progress(job, event, when)
  local total = whole(event.total, 'items_total')
  local retry_at = whole(event.retry_at, 'retry_at') or ''
  local limited = event.rate_limited ~= '' and flag(event.rate_limited, 'rate_limited')
  for _, name in ipairs(COUNTERS) do whole(event[name], 'items_' .. name) end
  if is_terminal(job.state) then refuse('job_ended', 'job ' .. job.id .. ' is ' .. job.state, job.state) end
  sign_of_life(job, when, event.cid)
  local before = settled(job)
  for _, name in ipairs(COUNTERS) do
    local value = whole(event[name])
    if value and not (job.reported and job.reported[name] == value) then
      job.reported = job.reported or {}
      job.reported[name], job.changed = value, true
    end
  end
  if total and total ~= job.total then job.total, job.changed = total, true end
  local gained = settled(job) - before
  if gained > 0 and job.proc_since then keep_pace(job, nil, gained, processing_time(job, when.base)) end
  if event.rate_limited ~= '' then
    if limited then set_rate_limit(job, retry_at, '', when, event.cid) else clear_rate_limit(job, when, event.cid) end
  end
  return job.changed and 'applied' or 'repeat'
end

local function reduce_heartbeat(job, event, when)
  if is_terminal(job.state) then return 'ignored' end
  sign_of_life(job, when, event.cid)
  job.heartbeat = true
  if event.ack ~= '' then
    local id, action, at = control_of(job)
    if id ~= '' and id == event.ack then
      job.control = ',' .. action .. ',' .. at .. ',1'
      job.control_changed, job.changed = true, true
    end
  end
  return job.changed and 'applied' or 'repeat'
end

-- action → state → target; `=` accepted without change. Equal to CONTROL_TARGETS in protocol/states.ts, which a test holds.
local CONTROL_MOVES = ' pause:pending>paused pause:running>pausing pause:pausing>= pause:paused>=' ..
  ' resume:pending>= resume:running>= resume:pausing>running resume:paused>running' ..
  ' cancel:pending>canceled cancel:running>canceling cancel:pausing>canceling cancel:paused>canceled cancel:canceling>= cancel:canceled>= '

local function reduce_control(job, event, when, entry)
  local action, state = event.action, job.state
  if action ~= 'pause' and action ~= 'resume' and action ~= 'cancel' then
    refuse('invalid_field', 'action must be pause, resume or cancel; it is ' .. cut(action, 64))
  end
  local target = match(CONTROL_MOVES, ' ' .. action .. ':' .. state .. '>([%l=]+)')
  if not target then
    local actions = {}
    for allowed in string.gmatch(CONTROL_MOVES, '(%l+):' .. state .. '>%l') do actions[#actions + 1] = allowed end
    refuse('invalid_transition', 'job ' .. job.id .. ' is ' .. state .. ' and cannot ' .. action, state, concat(actions, ','))
  end
  if target == '=' then return 'repeat' end
  if action == 'resume' and state == 'paused' and job.started == '' then target = 'pending' end
  if action == 'cancel' and state == 'paused' and job.processing > 0 then target = 'canceling' end
  local id = ''
  if target == 'pausing' or target == 'canceling' then id = entry.re or entry.id end
  job.control, job.control_changed = id .. ',' .. action .. ',' .. when.base .. ',0', true
  move(job, target, event.reason, false, when, event.cid)
  return 'applied'
end

local function reduce(job, event, when, entry)
  if event.type == 'item' then
    if not job.known then refuse('unknown_job', 'job ' .. cut(job.id, 128) .. ' is not registered') end
    if event.truncated ~= '' and event.truncated ~= '1' then refuse('invalid_field', 'truncated must be 1') end
    return reduce_item(job, event, when)
  end
  if event.type == 'register' then return reduce_register(job, event, when) end
  if not job.known then refuse('unknown_job', 'job ' .. cut(job.id, 128) .. ' is not registered') end
  if event.type == 'progress' then return reduce_progress(job, event, when) end
  if event.type == 'state' then return reduce_state(job, event, when) end
  if event.type == 'heartbeat' then return reduce_heartbeat(job, event, when) end
  return reduce_control(job, event, when, entry)
end
