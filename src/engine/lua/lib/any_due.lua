-- When a job's next timer is due. Ties fire in the order deadline, settle, control, retry, stall, abandon: a later one
-- here takes over when it is not later than what was found.

function R.any_due(h, job)
  local state, flags = h[H_STATE], h[H_FLAGS]
  if state ~= 'running' and R.is_terminal(state) then return job[J_WAIT_UNTIL] or h[H_STATE_SINCE] + RETENTION, 'retention' end
  local request, asked = '', 0
  if h[H_CONTROL] ~= '' then request, asked = R.control_at(h) end
  local life, since = h[H_LIFE] + 0, h[H_STATE_SINCE] + 0
  local due, name = math.max(life, asked + 0) + ABANDON_AFTER, 'abandon'
  if flags ~= '' and state == 'running' and R.has_flag(h, 'H') and not R.has_flag(h, 'S') then
    local stall = math.max(life, since) + STALL_AFTER
    if stall <= due then due, name = stall, 'stall' end
  end
  if h[H_RETRY_AT] ~= '' and h[H_RETRY_AT] + 0 <= due then due, name = h[H_RETRY_AT] + 0, 'retry' end
  if state == 'pausing' or state == 'canceling' then
    local control = (request ~= '' and asked + 0 or math.max(life, asked + 0, since)) + CONTROL_TIMEOUT
    if control <= due then due, name = control, 'control' end
    if h[H_IDLE_SINCE] ~= '' then
      local settle = math.max(h[H_IDLE_SINCE] + 0, since) + 1000
      if settle <= due then due, name = settle, 'settle' end
    end
  end
  if h[H_DEADLINE] ~= '' and h[H_PROC_SINCE] ~= '' and not R.has_flag(h, 'D') then
    local deadline = h[H_PROC_SINCE] + h[H_DEADLINE] - h[H_PROC_MS]
    if deadline <= due then due, name = deadline, 'deadline' end
  end
  return due, name
end
