-- A job goes to another state, and what goes with it: events, processing time, conditions, the open request.

function R.processes(state)
  return state == 'running' or state == 'pausing' or state == 'completing' or state == 'canceling'
end

function R.close_control(job)
  local control = job[J_H][H_CONTROL]
  if control == '' or control:byte() == 44 then return end -- 44: begins with a comma, no open id
  job[J_H][H_CONTROL] = control:sub(control:find(',', 1, true), -1)
  job[J_CONTROL_CHANGED] = true
end

function R.move(job, target, reason, forced, cid)
  local h = job[J_H]
  local prior = h[H_STATE]
  R.log_event(job, 'S', cid, '\t' .. prior .. '\t' .. target .. '\t' .. (forced and '1' or '0') .. '\t' .. reason)
  if h[H_PROC_SINCE] ~= '' and not R.processes(target) then
    h[H_PROC_MS], h[H_PROC_SINCE] = R.processing_time(h), ''
  elseif h[H_PROC_SINCE] == '' and R.processes(target) then
    h[H_PROC_SINCE] = R.base_text
  end
  if target == 'running' and h[H_STARTED] == '' then h[H_STARTED] = R.ms end
  if prior == 'running' then R.clear_flag(h, 'S') end
  if target ~= 'pausing' and target ~= 'canceling' then R.close_control(job) end
  h[H_STATE], h[H_STATE_SINCE], h[H_REASON], job[J_CHANGED] = target, R.base_text, reason, true
  if R.is_terminal(target) then R.log_event(job, 'F', cid, '\t' .. target .. '\t' .. reason) end
end

function R.clear_rate_limit(job, cid)
  local h = job[J_H]
  if not R.has_flag(h, 'R') then return end
  R.clear_flag(h, 'R')
  h[H_RETRY_AT], job[J_CHANGED] = '', true
  R.log_event(job, 'l', cid, '')
end

-- Called for jobs with auto_complete after everything that was accepted.
function R.complete_if_settled(job, cid)
  local h = job[J_H]
  local state = h[H_STATE]
  if state ~= 'running' and state ~= 'pausing' and state ~= 'completing' or h[H_TOTAL] + 0 <= 0 then return end
  if h[H_PENDING] + h[H_PROCESSING] + h[H_RETRYABLE] > 0 or R.settled(h) < h[H_TOTAL] + 0 then return end
  if state ~= 'completing' then R.move(job, 'completing', 'all_items_settled', false, cid) end
  R.move(job, 'completed', 'all_items_settled', false, cid)
end
