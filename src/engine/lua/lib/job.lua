-- A job in memory. Its header is a list of columns, text until something changes them: most stay as they were.
-- #columns H LID EPOCH SEQ REV STATE FLAGS RETRY_AT TOTAL COMPLETED FAILED RETRYABLE SKIPPED CANCELED PROCESSING PENDING PARTIAL
-- #columns H REPORTED INITIAL CREATED STARTED PROC_MS PROC_SINCE LIFE UPDATED STATE_SINCE IDLE_SINCE CONTROL DEADLINE PACE STORE REASON

function R.new_job(member, tenant, id)
  return {
    member = member, key = R.job_prefix .. member, tenant = tenant, id = id, h = false, score = false, exists = false,
    wanted = { '_', 's' }, width_wanted = 2, at = {}, values = false, items = {}, fields = { '_', '' }, field_at = {}, events = {}, logged = 0, width = 2, progress = false,
    life = false,
    new_items = false, seq0 = 0, rev = 0, rev0 = 0, state0 = '', changed = false, touched = false, entry = false, updated = false,
    durations = false, pace = false, control_changed = false, message = false, drop = false, seen = false
  }
end

function R.load_header(job, header)
  local h = { header:match('^1{31 columns}$') }
  if not h[1] then
    R.newer = true -- or not ours: nothing of it is touched
    return
  end
  job.h, job.seq0, job.rev, job.state0 = h, h[H_SEQ] + 0, h[H_REV] + 0, h[H_STATE]
  job.rev0 = job.rev
end

function R.has_flag(h, letter)
  return h[H_FLAGS]:find(letter, 1, true) ~= nil
end

function R.set_flag(h, letter)
  if not R.has_flag(h, letter) then h[H_FLAGS] = h[H_FLAGS] .. letter end
end

function R.clear_flag(h, letter)
  h[H_FLAGS] = h[H_FLAGS]:gsub(letter, '')
end

function R.is_terminal(state)
  return state == 'completed' or state == 'canceled' or state == 'failed'
end

-- The nth of four comma-separated numbers; nil when it is empty.
function R.one_of_four(group, n)
  local completed, failed, skipped, canceled = group:match('^([^,]*),([^,]*),([^,]*),([^,]*)$')
  return tonumber(n == 1 and completed or n == 2 and failed or n == 3 and skipped or canceled)
end

-- The effective counter: the greater of the last reported and what was counted, initial values included.
function R.effective(h, column, n)
  local value = h[column] + 0
  if h[H_INITIAL] ~= '' then value = value + (R.one_of_four(h[H_INITIAL], n) or 0) end
  if h[H_REPORTED] ~= '' then value = math.max(value, R.one_of_four(h[H_REPORTED], n) or 0) end
  return value
end

function R.settled(h)
  if h[H_REPORTED] == '' and h[H_INITIAL] == '' then return h[H_COMPLETED] + h[H_FAILED] + h[H_SKIPPED] + h[H_CANCELED] end
  return R.effective(h, H_COMPLETED, 1) + R.effective(h, H_FAILED, 2) + R.effective(h, H_SKIPPED, 3) + R.effective(h, H_CANCELED, 4)
end

function R.processing_time(h)
  local since = h[H_PROC_SINCE]
  if since == '' then return h[H_PROC_MS] + 0 end
  return h[H_PROC_MS] + math.max(0, R.base - since)
end

-- One line of the log; `rest` begins with a tab or is empty.
function R.log_event(job, letter, cid, rest)
  local logged = job.logged + 1
  job.events[logged], job.logged = letter .. '\t' .. R.ms .. '\t' .. cid .. rest, logged
end

-- A worker was heard; whatever it said is accepted by now.
function R.sign_of_life(job, cid)
  local h = job.h
  job.life = R.base
  if R.base > h[H_LIFE] + 0 then h[H_LIFE] = R.base_text end
  if h[H_FLAGS] ~= '' and R.has_flag(h, 'S') then
    R.clear_flag(h, 'S')
    job.changed = true
    R.log_event(job, 't', cid, '')
  end
end
