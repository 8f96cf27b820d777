-- Item updates: the state machine of an item, the counters of its job, and the one record that is stored, logged and published.

-- state attempt retryable percent started duration created updated truncated, then two groups (parse_packed.lua)
local ITEM = '^([^\t]*)' .. string.rep('\t([^\t]*)', 8) .. '\t([^\t]*\t[^\t]*\t[^\t]*\t[^\t]*)\t([^\t]*\t[^\t]*\t[^\t]*)$'
local EVENT_LETTERS = { pending = 'q', processing = 's', completed = 'c', failed = 'f', skipped = 'k', canceled = 'x' }
local ITEM_MOVES = ' pending>processing pending>completed pending>failed pending>skipped pending>canceled' ..
  ' processing>completed processing>failed processing>skipped processing>canceled failed>processing '

local function load_item(job, id)
  local item = job.items[id]
  if item ~= nil then return item end
  local record = job.records[id]
  if not record then return nil end
  local state, attempt, retryable, percent, started, duration, created, updated, truncated, about, outcome = match(record, ITEM)
  item = {
    state = state, attempt = attempt + 0, retryable = retryable == '1', percent = percent + 0, started = started, duration = duration,
    created = created, updated = updated, truncated = truncated, about = about, outcome = outcome
  }
  job.items[id] = item
  return item
end

-- Tab-separated groups: what the update gives replaces, what it leaves empty stays.
local function merge_group(old, new, nothing)
  if new == nothing or new == old then return old end
  if old == nothing then return new end
  local merged, rest = {}, old
  for value in string.gmatch(new .. '\t', '([^\t]*)\t') do
    local stop = find(rest .. '\t', '\t', 1, true)
    merged[#merged + 1] = value ~= '' and value or sub(rest, 1, stop - 1)
    rest = sub(rest, stop + 1)
  end
  return concat(merged, '\t')
end

local NO_ABOUT, NO_OUTCOME = '\t\t\t', '\t\t'

local function whole(text, name)
  if text == '' then return nil end
  if type(text) == 'number' then return text end
  if not find(text, '^%d+$') or #text > 14 then refuse('invalid_field', name .. ' must be a whole number, 0 or more; it is ' .. cut(text, 64)) end
  return text + 0
end

local function final(state)
  return state == 'completed' or state == 'skipped' or state == 'canceled'
end

-- Judges an update. Returns the attempt and state it leads to, or nil when it has no effect; refuses what is illegal.
local function judge_item(item, event)
  local attempt = whole(event.attempt, 'attempt')
  if attempt == 0 then refuse('invalid_field', 'attempt begins at 1') end
  if not item then return attempt or 1, event.state == '' and 'pending' or event.state end
  local state = event.state == '' and item.state or event.state
  if attempt and attempt < item.attempt then return nil end
  if attempt and attempt > item.attempt and not final(item.state) then
    if state == 'pending' then refuse('invalid_transition', 'item ' .. event.item .. ': a new attempt cannot be pending', item.state, 'processing,completed,failed,skipped,canceled') end
    return attempt, state
  end
  if state == item.state then
    if state ~= 'pending' and state ~= 'processing' then return nil end
    return item.attempt, state
  end
  if not find(ITEM_MOVES, ' ' .. item.state .. '>' .. state .. ' ', 1, true) or (attempt and attempt > item.attempt) then
    local targets = {}
    for target in string.gmatch(ITEM_MOVES, ' ' .. item.state .. '>(%l+)') do targets[#targets + 1] = target end
    refuse('invalid_transition', 'item ' .. event.item .. ' cannot go from ' .. item.state .. ' to ' .. state, item.state, concat(targets, ','))
  end
  return item.state == 'failed' and item.attempt + 1 or item.attempt, state
end

local function count_item(job, state, retryable, percent, by, when)
  job[state] = job[state] + by
  if state == 'processing' then
    job.partial = job.partial + by * percent
    job.idle_since = job.processing == 0 and when.base or nil
  elseif state == 'failed' and retryable then
    job.retryable = job.retryable + by
  end
end

local function item_record(item)
  return concat({
    item.state, item.attempt, item.retryable and '1' or '0', item.percent, item.started, item.duration, item.created, item.updated,
    item.truncated, item.about, item.outcome
  }, '\t')
end

local function put_item(job, id, item, letter, when, cid)
  local record = item_record(item)
  job.items[id], job.written[id] = item, record
  job.changed = true
  if letter == 'p' then
    job.progress[id] = 'p\t' .. when.ms .. '\t' .. cid .. '\t' .. id .. '\t' .. record
  else
    job.progress[id] = nil
    log_event(job, letter, when.ms, cid, '\t' .. id .. '\t' .. record)
  end
end

-- An update that leaves state and attempt as they are.
local function progress_item(job, item, event, percent, duration, when)
  local about = merge_group(item.about, event.about, NO_ABOUT)
  local outcome = merge_group(item.outcome, event.outcome, NO_OUTCOME)
  percent = percent or item.percent
  local duration_text = duration or item.duration
  local truncated = event.truncated == '1' and '1' or item.truncated
  if percent == item.percent and about == item.about and outcome == item.outcome and tostring(duration_text) == tostring(item.duration) and
    truncated == item.truncated then
    return 'repeat'
  end
  if item.state == 'processing' then job.partial = job.partial + percent - item.percent end
  put_item(job, event.item, {
    state = item.state, attempt = item.attempt, retryable = item.retryable, percent = percent, started = item.started,
    duration = duration_text, created = item.created, updated = event.updated ~= '' and event.updated or when.ms,
    truncated = truncated, about = about, outcome = outcome
  }, 'p', when, event.cid)
  return 'applied'
end

-- Takes an item out of the counters of its old state; a retry also lowers what was last reported as failed.
local function uncount_item(job, item, attempt, when)
  count_item(job, item.state, item.retryable, item.percent, -1, when)
  if item.state == 'failed' and attempt > item.attempt and job.reported and job.reported.failed then
    job.reported.failed = max(job.reported.failed - 1, job.failed + (job.initial and job.initial.failed or 0))
  end
end

local function reduce_item(job, event, when)
  if is_terminal(job.state) then refuse('job_ended', 'job ' .. job.id .. ' is ' .. job.state, job.state) end
  local id = event.item
  local item = load_item(job, id)
  if not item then
    if not is_id(id) then refuse('invalid_field', 'item id ' .. cut(id, 64) .. ' does not match the pattern of identifiers') end
    if job.items_seen == nil then job.items_seen = match(job.store, '^[^,]*,[^,]*,[^,]*,[^,]*,([^,]*),') + 0 end
    if job.items_seen >= limits.items then
      refuse('too_many_items', 'a job keeps at most ' .. limits.items .. ' items; report counters instead', job.state)
    end
  end
  if event.state ~= '' and not EVENT_LETTERS[event.state] then refuse('invalid_field', 'state ' .. cut(event.state, 64) .. ' is no item state') end
  local percent, duration = whole(event.percent, 'percent'), whole(event.duration, 'duration_ms')
  if percent and percent > 10000 then refuse('invalid_field', 'percent is in hundredths, at most 10000') end
  local attempt, state = judge_item(item, event)
  sign_of_life(job, when, event.cid)
  if not attempt then return 'repeat' end
  if item and attempt == item.attempt and state == item.state then return progress_item(job, item, event, percent, duration, when) end

  local before = settled(job)
  local fresh = not item or attempt > item.attempt
  local started = item and attempt == item.attempt and item.started or ''
  if state == 'processing' then started = when.base end
  local open = state == 'pending' or state == 'processing'
  if not duration and not open and started ~= '' then duration = max(0, when.base - started) end
  local now_item = {
    state = state, attempt = attempt, retryable = state == 'failed' and event.retryable == '1',
    percent = state == 'completed' and 10000 or percent or (fresh and 0) or item.percent,
    started = started, duration = duration or '',
    created = item and item.created or (event.created ~= '' and event.created) or when.ms,
    updated = event.updated ~= '' and event.updated or when.ms,
    truncated = event.truncated == '1' and '1' or (item and item.truncated) or '',
    about = item and merge_group(item.about, event.about, NO_ABOUT) or event.about,
    outcome = fresh and event.outcome or merge_group(item.outcome, event.outcome, NO_OUTCOME)
  }
  if item then
    uncount_item(job, item, attempt, when)
  else
    job.items_seen = job.items_seen + 1
    job.new_items[#job.new_items + 1] = id
  end
  count_item(job, state, now_item.retryable, now_item.percent, 1, when)
  local letter = EVENT_LETTERS[state]
  if letter == 's' and item and fresh then letter = 'r' end
  put_item(job, id, now_item, letter, when, event.cid)
  local gained = settled(job) - before
  local sample = duration and (state == 'completed' or state == 'failed') and duration or nil
  if not job.proc_since then gained = 0 end
  if sample or gained > 0 then keep_pace(job, sample, gained, gained > 0 and processing_time(job, when.base)) end
  return 'applied'
end
