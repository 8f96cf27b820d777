-- What happens when a timer of a job has come.

-- A finished job may leave when the persister is through with it; before that it waits, beyond a number only as its header.
local function retire(job)
  local h = job[J_H]
  if job[J_REV] ~= job[J_REV_BEFORE] then -- what happened in this call is to be told first
    job[J_WAIT_UNTIL] = R.base + 1
    return
  end
  if R.sink and (h[H_STORE]:match('([^,]*)$') + 0 > stored_meta[4]:match('^%d+') + 0 or redis.call('ZSCORE', KEYS[6], job[J_MEMBER])) then
    job[J_WAIT_UNTIL] = R.base + 5000
    if not R.has_flag(h, 'W') then
      R.set_flag(h, 'W')
      R.waiting = R.waiting + 1
    end
    if R.waiting > WAITING_MAX and not R.has_flag(h, 'X') then
      R.set_flag(h, 'X')
      job[J_STRIP] = true
    end
    return
  end
  if R.has_flag(h, 'W') then R.waiting = R.waiting - 1 end
  job[J_GONE] = true
end

local function fire(job)
  local h = job[J_H]
  local _, name = R.next_due(h, job)
  if name == 'retention' then
    retire(job)
  elseif name == 'deadline' then
    R.set_flag(h, 'D')
    job[J_CHANGED] = true
    R.log_event(job, 'D', '', '')
    if R.has_flag(h, 'F') then R.move(job, 'failed', 'deadline_exceeded', false, '') end
  elseif name == 'settle' then
    R.move(job, h[H_STATE] == 'pausing' and 'paused' or 'canceled', 'items_settled', false, '')
  elseif name == 'control' then
    R.move(job, h[H_STATE] == 'pausing' and 'paused' or 'canceled', 'control_timeout', true, '')
  elseif name == 'retry' then
    R.clear_rate_limit(job, '')
  elseif name == 'stall' then
    R.set_flag(h, 'S')
    job[J_CHANGED] = true
    R.log_event(job, 'T', '', '')
  else
    R.move(job, 'failed', 'abandoned', false, '')
  end
end
