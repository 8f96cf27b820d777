-- Events about a job as a whole. Everything is checked before anything changes: a refused event leaves no trace.

-- What a worker may ask for; `running` from pausing and paused only with resume. Equal to WORKER_TARGETS in
-- protocol/states.ts, which a test holds.
local WORKER_MOVES = ' pending>running pending>completing pending>completed pending>canceled pending>failed' ..
  ' running>pausing running>completing running>completed running>canceling running>failed' ..
  ' pausing>running pausing>paused pausing>completing pausing>completed pausing>canceling pausing>failed' ..
  ' paused>running paused>canceling paused>canceled paused>failed' ..
  ' completing>completed completing>failed canceling>canceled canceling>failed '
local JOB_STATES = ' pending running pausing paused completing completed canceling canceled failed '

-- action:state>target, `=` accepted without change. Equal to CONTROL_TARGETS in protocol/states.ts, which a test holds.
local CONTROL_MOVES = ' pause:pending>paused pause:running>pausing pause:pausing>= pause:paused>=' ..
  ' resume:pending>= resume:running>= resume:pausing>running resume:paused>running' ..
  ' cancel:pending>canceled cancel:running>canceling cancel:pausing>canceling cancel:paused>canceled cancel:canceling>= cancel:canceled>= '

local function all_of(text, pattern)
  local found = {}
  for one in text:gmatch(pattern) do found[#found + 1] = one end
  return table.concat(found, ',')
end

local function set_rate_limit(job, retry_at, reason, cid)
  local h, due = job[J_H], retry_at and retry_at - R.gap_ms or R.base + 60000
  if R.has_flag(h, 'R') and (not retry_at or due == h[H_RETRY_AT] + 0) then return end
  R.set_flag(h, 'R')
  h[H_RETRY_AT], job[J_CHANGED] = due, true
  R.log_event(job, 'L', cid, '\t' .. (due + R.gap_ms) .. '\t' .. reason)
end

local function reduce_state(job, event)
  local h, target = job[J_H], event.state
  local state, retry_at, resume = h[H_STATE], R.whole(event.retry_at, 'retry_at'), flag(event.resume, 'resume')
  if target == 'rate_limited' then
    if R.is_terminal(state) then R.refuse('job_ended', 'job ' .. job[J_ID] .. ' is ' .. state, state) end
    R.sign_of_life(job, event.cid)
    set_rate_limit(job, retry_at, event.reason, event.cid)
    return 'repeat'
  end
  if target == '' or not JOB_STATES:find(' ' .. target .. ' ', 1, true) then R.refuse('invalid_field', 'state ' .. R.cut(target, 64) .. ' is no state of a job') end
  if target == state then
    if R.is_terminal(state) then return 'repeat' end
    R.sign_of_life(job, event.cid)
    if target == 'running' then R.clear_rate_limit(job, event.cid) end
    return 'repeat'
  end
  if target == 'running' and (state == 'completing' or state == 'canceling' or not resume and (state == 'pausing' or state == 'paused')) then
    R.sign_of_life(job, event.cid)
    return 'ignored'
  end
  if not WORKER_MOVES:find(' ' .. state .. '>' .. target .. ' ', 1, true) then
    R.refuse('invalid_transition', 'job ' .. job[J_ID] .. ' cannot go from ' .. state .. ' to ' .. target, state, all_of(WORKER_MOVES, ' ' .. state .. '>(%l+)'))
  end
  R.sign_of_life(job, event.cid)
  if target == 'running' then R.clear_rate_limit(job, event.cid) end
  R.close_control(job) -- whatever was asked, the worker has gone its own way
  R.move(job, target, event.reason, false, event.cid)
  return 'applied'
end

-- Reported counters that differ from the stored ones; nil when none does.
local function reported_text(h, event)
  local values, different = {}, false
  for n, name in ipairs(COUNTERS) do
    local stored = h[H_REPORTED] ~= '' and R.one_of_four(h[H_REPORTED], n)
    local value = R.whole(event[name], 'items_' .. name)
    if value and value ~= stored then different = true end
    values[n] = value or stored or ''
  end
  return different and table.concat(values, ',')
end

local function reduce_progress(job, event)
  local h, total, retry_at = job[J_H], R.whole(event.total, 'items_total'), R.whole(event.retry_at, 'retry_at')
  local limited = event.rate_limited ~= '' and flag(event.rate_limited, 'rate_limited')
  local reported = reported_text(h, event)
  if R.is_terminal(h[H_STATE]) then R.refuse('job_ended', 'job ' .. job[J_ID] .. ' is ' .. h[H_STATE], h[H_STATE]) end
  R.sign_of_life(job, event.cid)
  if reported then
    local before = R.settled(h)
    h[H_REPORTED], job[J_CHANGED] = reported, true
    local gained = R.settled(h) - before
    if gained > 0 and h[H_PROC_SINCE] ~= '' then R.keep_pace(job, nil, gained) end
  end
  if total and total ~= h[H_TOTAL] + 0 then h[H_TOTAL], job[J_CHANGED] = total, true end
  if limited then set_rate_limit(job, retry_at, '', event.cid)
  elseif event.rate_limited ~= '' then R.clear_rate_limit(job, event.cid) end
  return 'repeat'
end

local function reduce_heartbeat(job, event)
  local h = job[J_H]
  if R.is_terminal(h[H_STATE]) then return 'ignored' end
  R.sign_of_life(job, event.cid)
  R.set_flag(h, 'H')
  local id, rest = h[H_CONTROL]:match('^([^,]+)(,[^,]*,[^,]*),')
  if id and id == event.ack then h[H_CONTROL], job[J_CONTROL_CHANGED], job[J_CHANGED] = rest .. ',1', true, true end
  return 'repeat'
end

local function reduce_control(job, event)
  local h, action, entry = job[J_H], event.action, R.entry
  local state = h[H_STATE]
  if action ~= 'pause' and action ~= 'resume' and action ~= 'cancel' then
    R.refuse('invalid_field', 'action must be pause, resume or cancel; it is ' .. R.cut(action, 64))
  end
  local target = CONTROL_MOVES:match(' ' .. action .. ':' .. state .. '>([%l=]+)')
  if not target then
    R.refuse('invalid_transition', 'job ' .. job[J_ID] .. ' is ' .. state .. ' and cannot ' .. action, state, all_of(CONTROL_MOVES, ' (%l+):' .. state .. '>%l'))
  end
  if target == '=' then return 'repeat' end
  if state == 'paused' and action == 'resume' and h[H_STARTED] == '' then target = 'pending' end
  if state == 'paused' and action == 'cancel' and h[H_PROCESSING] + 0 > 0 then target = 'canceling' end
  local id = (target == 'pausing' or target == 'canceling') and (entry[N_RE] or entry[N_ID]) or ''
  h[H_CONTROL], job[J_CONTROL_CHANGED] = id .. ',' .. action .. ',' .. R.base_text .. ',0', true
  R.move(job, target, event.reason, false, event.cid)
  return 'applied'
end

local REDUCERS = { state = reduce_state, progress = reduce_progress, heartbeat = reduce_heartbeat, control = reduce_control }

local function reduce_job_event(kind, job, event, slot)
  if kind == 'register' then return reduce_register(job, event, slot) end
  if not job[J_H] then R.refuse('unknown_job', 'job ' .. job[J_ID] .. ' is not registered') end
  return REDUCERS[kind](job, event)
end
