-- Where a job may go, and what goes with a move: events, processing time, conditions, the open request.

-- What a worker may ask for; `running` from pausing and paused only with resume. One text, since a table of tables
-- would be built anew at every call. Equal to WORKER_TARGETS in protocol/states.ts, which a test holds.
local WORKER_MOVES = ' pending>running pending>completing pending>completed pending>canceled pending>failed' ..
  ' running>pausing running>completing running>completed running>canceling running>failed' ..
  ' pausing>running pausing>paused pausing>completing pausing>completed pausing>canceling pausing>failed' ..
  ' paused>running paused>canceling paused>canceled paused>failed' ..
  ' completing>completed completing>failed canceling>canceled canceling>failed '

local function worker_targets(state)
  local targets = {}
  for target in string.gmatch(WORKER_MOVES, ' ' .. state .. '>(%l+)') do targets[#targets + 1] = target end
  return concat(targets, ',')
end

-- when: { base, ms } service and wall time of what causes the move
local function move(job, target, reason, forced, when, cid)
  local prior = job.state
  log_event(job, 'S', when.ms, cid, '\t' .. prior .. '\t' .. target .. '\t' .. (forced and '1' or '0') .. '\t' .. reason)
  if job.proc_since and not processes(target) then
    job.proc_ms, job.proc_since = processing_time(job, when.base), nil
  elseif not job.proc_since and processes(target) then
    job.proc_since = when.base
  end
  if target == 'running' and job.started == '' then job.started = when.ms end
  if prior == 'running' then job.stalled = false end
  if target ~= 'pausing' and target ~= 'canceling' then close_control(job) end
  job.state, job.state_since, job.reason, job.changed = target, when.base, reason, true
  if is_terminal(target) then log_event(job, 'F', when.ms, cid, '\t' .. target .. '\t' .. reason) end
end

local function set_rate_limit(job, retry_at, reason, when, cid)
  local due = retry_at ~= '' and retry_at - clock.gap_ms or when.base + 60000
  if job.rate_limited and (retry_at == '' or due == job.retry_at) then return end
  job.rate_limited, job.retry_at, job.changed = true, due, true
  log_event(job, 'L', when.ms, cid, '\t' .. (due + clock.gap_ms) .. '\t' .. reason)
end

local function clear_rate_limit(job, when, cid)
  if not job.rate_limited then return end
  job.rate_limited, job.retry_at, job.changed = false, nil, true
  log_event(job, 'l', when.ms, cid, '')
end

-- A worker was heard: whatever it said is accepted by now.
local function sign_of_life(job, when, cid)
  job.life = max(job.life, when.base)
  if job.stalled then
    job.stalled, job.changed = false, true
    log_event(job, 't', when.ms, cid, '')
  end
end

local function complete_if_settled(job, when, cid)
  if not job.auto_complete or job.total <= 0 then return end
  local state = job.state
  if state ~= 'running' and state ~= 'pausing' and state ~= 'completing' then return end
  if job.pending > 0 or job.processing > 0 or job.retryable > 0 or settled(job) - job.retryable < job.total then return end
  if state ~= 'completing' then move(job, 'completing', 'all_items_settled', false, when, cid) end
  move(job, 'completed', 'all_items_settled', false, when, cid)
end
