-- Item updates: the state machine of an item, the counters of its job, and the one record that is stored, logged and
-- published.

-- The letter of a state's event, nil when it is no state; and the column of the job that counts it.
function R.letter_of(state)
  return state == 'pending' and 'q' or state == 'processing' and 's' or state == 'completed' and 'c' or state == 'failed' and 'f' or
    state == 'skipped' and 'k' or state == 'canceled' and 'x' or nil
end

function R.column_of(state)
  return state == 'pending' and H_PENDING or state == 'processing' and H_PROCESSING or state == 'completed' and H_COMPLETED or
    state == 'failed' and H_FAILED or state == 'skipped' and H_SKIPPED or H_CANCELED
end

function R.refuse_item(id, from, to, new_attempt)
  local targets = { pending = 'processing,completed,failed,skipped,canceled', processing = 'completed,failed,skipped,canceled', failed = 'processing' }
  R.refuse('invalid_transition', 'item ' .. id .. ' cannot go from ' .. from .. ' to ' .. to, from, new_attempt and targets.pending or targets[from])
end

-- Where an update leads a known item: attempt and state, or nil when it has no effect. Refuses what is illegal.
function R.judge_item(item, e, attempt)
  local from, current = item[I_STATE], item[I_ATTEMPT] + 0
  local to = e[E_STATE] == '' and from or e[E_STATE]
  local final = from == 'completed' or from == 'skipped' or from == 'canceled'
  if attempt then
    if attempt < current then return nil end
    if attempt > current and (not final or to ~= from) then
      if final then R.refuse_item(e[E_ITEM], from, to) end
      if to == 'pending' then R.refuse_item(e[E_ITEM], from, to, true) end
      return attempt, to
    end
  end
  if to == from then
    if from ~= 'pending' and from ~= 'processing' then return nil end
    return current, to
  end
  if final or to == 'pending' or from == 'failed' and to ~= 'processing' then R.refuse_item(e[E_ITEM], from, to) end
  return from == 'failed' and current + 1 or current, to
end

function R.count_item(h, item, by)
  local state = item[I_STATE]
  local column = R.column_of(state)
  local value = h[column] + by
  h[column] = value
  if state == 'processing' then
    h[H_PARTIAL] = h[H_PARTIAL] + by * item[I_PERCENT]
    h[H_IDLE_SINCE] = value == 0 and R.base_text or ''
  elseif state == 'failed' and item[I_RETRYABLE] == '1' then
    h[H_RETRYABLE] = h[H_RETRYABLE] + by
  end
end

-- Keeps a record and says so: in the log, or as the newest progress.
function R.put_item(job, slot, cid, id, record, letter)
  local line = letter .. '\t' .. R.ms .. '\t' .. cid .. '\t' .. id .. '\t' .. record
  if letter == 'p' then
    job[J_PROGRESS] = job[J_PROGRESS] or {}
    job[J_PROGRESS][slot] = line
    job[J_NOW][slot - 2], job[J_CHANGED] = record, true
  else
    R.log_item(job, slot, record, line)
  end
  return 'applied'
end

function R.log_item(job, slot, record, line)
  if job[J_PROGRESS] then job[J_PROGRESS][slot] = nil end
  job[J_NOW][slot - 2], job[J_CHANGED] = record, true
  R.add_to_log(job, line)
end

-- An update that leaves state and attempt as they are.
function R.progress_item(job, slot, e, item, percent, duration, updated, truncated)
  if percent == '' then percent = item[I_PERCENT] end
  if duration == '' then duration = item[I_DURATION] end
  if truncated == '' then truncated = item[I_TRUNCATED] end
  local tail = R.merge_columns(item[I_TAIL], e[E_TAIL], NO_TAIL)
  if percent == item[I_PERCENT] and duration == item[I_DURATION] and truncated == item[I_TRUNCATED] and tail == item[I_TAIL] then return 'repeat' end
  if item[I_STATE] == 'processing' then job[J_H][H_PARTIAL] = job[J_H][H_PARTIAL] + percent - item[I_PERCENT] end
  item[I_PERCENT], item[I_DURATION], item[I_UPDATED], item[I_TRUNCATED], item[I_TAIL] = percent, duration, updated, truncated, tail
  return R.put_item(job, slot, e[E_CID], e[E_ITEM], table.concat(item, '\t'), 'p')
end

function R.check_tail(tail)
  local row_index, weight = tail:match('^([^\t]*)\t([^\t]*)\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*$')
  if not row_index then R.refuse('malformed_entry', 'a line of type i with other columns than its format has') end
  if row_index ~= '' and not row_index:find('^%d+$') then R.refuse('invalid_field', 'row_index must be a whole number, 0 or more') end
  if weight ~= '' and not weight:find('^%-?%d+%.?%d*e?[-+]?%d*$') then R.refuse('invalid_field', 'weight must be a number') end
end

function R.check_numbers(attempt, retryable, percent, duration, created, updated, truncated)
  if not attempt then R.refuse('malformed_entry', 'a line of type i with other columns than its format has') end
  if percent ~= '' and R.whole(percent, 'percent') > 10000 then R.refuse('invalid_field', 'percent is in hundredths, at most 10000') end
  if duration ~= '' then R.whole(duration, 'duration_ms') end
  if attempt ~= '' and R.whole(attempt, 'attempt') == 0 then R.refuse('invalid_field', 'attempt begins at 1') end
  if created ~= '' then R.whole(created, 'created_at') end
  if updated ~= '' then R.whole(updated, 'updated_at') end
  if retryable ~= '' and retryable ~= '1' and retryable ~= '0' then R.refuse('invalid_field', 'retryable must be 1 or 0') end
  if truncated ~= '' and truncated ~= '1' then R.refuse('invalid_field', 'truncated must be 1') end
end

function R.see_first(job, id)
  local h = job[J_H]
  if not R.is_id(id) then R.refuse('invalid_field', 'item id ' .. R.cut(id, 64) .. ' does not match the pattern of identifiers') end
  if not job[J_SEEN] then job[J_SEEN] = h[H_STORE]:match('^[^,]*,[^,]*,[^,]*,[^,]*,([^,]*)') + 0 end
  if job[J_SEEN] >= R.items_max then
    R.refuse('too_many_items', 'a job keeps at most ' .. R.items_max .. ' items; report counters instead', h[H_STATE])
  end
end

-- Known for good only when nothing can refuse the update any more.
function R.add_first(job, id)
  job[J_SEEN] = job[J_SEEN] + 1
  job[J_NEW_ITEMS] = job[J_NEW_ITEMS] or {}
  job[J_NEW_ITEMS][#job[J_NEW_ITEMS] + 1] = id
end

-- A retry also lowers what was last reported as failed, not below what is counted.
function R.lower_reported(h)
  local completed, failed, skipped, canceled = h[H_REPORTED]:match('^([^,]*),([^,]*),([^,]*),([^,]*)$')
  if not failed or failed == '' then return end
  local counted = h[H_FAILED] + (h[H_INITIAL] ~= '' and R.one_of_four(h[H_INITIAL], 2) or 0)
  h[H_REPORTED] = completed .. ',' .. math.max(failed - 1, counted) .. ',' .. skipped .. ',' .. canceled
end

-- Every case. The two most frequent ones have a short way (lib/short_item.lua), to the same effect.
function R.reduce_any_item(job, slot, e, record)
  local h = job[J_H]
  if e[E_STATE] ~= '' and not R.letter_of(e[E_STATE]) then R.refuse('invalid_field', 'state ' .. R.cut(e[E_STATE], 64) .. ' is no state of an item') end
  local given, retryable, percent, duration, created, updated, truncated = e[E_NUMBERS]:match(NUMBERS)
  R.check_numbers(given, retryable, percent, duration, created, updated, truncated)
  if e[E_TAIL] ~= NO_TAIL then R.check_tail(e[E_TAIL]) end
  local item, attempt, state = record and { record:match(ITEM) }, nil, nil
  if item then
    attempt, state = R.judge_item(item, e, given ~= '' and given + 0 or nil)
  else
    R.see_first(job, e[E_ITEM])
    attempt, state = given ~= '' and given + 0 or 1, e[E_STATE] ~= '' and e[E_STATE] or 'pending'
  end
  if job[J_LIFE] ~= R.base then R.sign_of_life(job, e[E_CID]) end
  if not attempt then return 'repeat' end
  local again = item and attempt == item[I_ATTEMPT] + 0
  if updated == '' then updated = R.ms end
  if again and state == item[I_STATE] then return R.progress_item(job, slot, e, item, percent, duration, updated, truncated) end

  local before, started, tail = R.settled(h), again and item[I_STARTED] or '', e[E_TAIL]
  if state == 'processing' then
    started = R.base_text
  elseif duration == '' and started ~= '' and state ~= 'pending' then
    duration = ('%d'):format(math.max(0, R.base - started))
  end
  if item and again then
    tail = R.merge_columns(item[I_TAIL], tail, NO_TAIL)
  elseif item then -- a new attempt: what was said of the old one's outcome goes
    local about, outcome = tail:match(TAIL)
    tail = R.merge_columns(item[I_TAIL]:match(TAIL), about, '\t\t\t') .. '\t' .. outcome
  end
  if item then
    R.count_item(h, item, -1)
    if not again and item[I_STATE] == 'failed' and h[H_REPORTED] ~= '' then R.lower_reported(h) end
  else
    R.add_first(job, e[E_ITEM])
  end
  local now = {
    state, attempt, state == 'failed' and retryable == '1' and '1' or '0',
    state == 'completed' and 10000 or percent ~= '' and percent or again and item[I_PERCENT] or 0,
    started, duration, item and item[I_CREATED] or created ~= '' and created or R.ms, updated,
    truncated ~= '' and truncated or item and item[I_TRUNCATED] or '', tail
  }
  R.count_item(h, now, 1)
  local gained = h[H_PROC_SINCE] ~= '' and R.settled(h) - before or 0
  local sample = duration ~= '' and (state == 'completed' or state == 'failed') and duration or nil
  if sample or gained > 0 then R.keep_pace(job, sample, gained) end
  return R.put_item(job, slot, e[E_CID], e[E_ITEM], table.concat(now, '\t'), state == 'processing' and item and not again and 'r' or R.letter_of(state))
end

function R.refuse_ended(job)
  R.refuse('job_ended', 'job ' .. job[J_ID] .. ' is ' .. job[J_H][H_STATE], job[J_H][H_STATE])
end

function R.refuse_unknown(job)
  R.refuse('unknown_job', 'job ' .. job[J_ID] .. ' is not registered')
end

function R.reduce_item(job, slot, e)
  if not job[J_H] then R.refuse_unknown(job) end
  if R.is_terminal(job[J_H][H_STATE]) then R.refuse_ended(job) end
  return R.reduce_any_item(job, slot, e, job[J_NOW][slot - 2] or job[J_VALUES][slot])
end
