-- Flags, counters and other columns of a job, for all but the most frequent events.

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

-- One line of the log; `rest` begins with a tab or is empty.
function R.log_event(job, letter, cid, rest)
  R.add_to_log(job, letter .. '\t' .. R.ms .. '\t' .. cid .. rest)
end

function R.control_at(h)
  return h[H_CONTROL]:match('^([^,]*),[^,]*,([^,]*)')
end

function R.add_to_log(job, line)
  local logged = job[J_LOGGED] + 1
  if logged == 1 then job[J_EVENTS] = { line } else job[J_EVENTS][logged] = line end
  job[J_LOGGED] = logged
end
