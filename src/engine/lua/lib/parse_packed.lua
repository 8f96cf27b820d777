-- Lines of packed entries (SDK, gateways) into events. Columns stay text here; the reducer turns those it uses into numbers.

local COLUMN = '\t([^\t]*)'
local REGISTER_LINE = '^r' .. string.rep(COLUMN, 19) .. '$'
local STATE_LINE = '^s' .. string.rep(COLUMN, 7) .. '$'
local PROGRESS_LINE = '^p' .. string.rep(COLUMN, 10) .. '$'
local HEARTBEAT_LINE = '^h' .. string.rep(COLUMN, 5) .. '$'
local CONTROL_LINE = '^c' .. string.rep(COLUMN, 5) .. '$'
-- Two groups stay whole: row_index weight title kind, and worker error result.
local ITEM_LINE = '^i' .. string.rep(COLUMN, 12) .. '\t([^\t]*\t[^\t]*\t[^\t]*\t[^\t]*)\t([^\t]*\t[^\t]*\t[^\t]*)$'

local function parse_item(line)
  local tenant, job, cid, item, state, attempt, retryable, percent, duration, created, updated, truncated, about, outcome =
    match(line, ITEM_LINE)
  return tenant and {
    type = 'item', tenant = tenant, job = job, cid = cid, item = item, state = state, attempt = attempt, retryable = retryable,
    percent = percent, duration = duration, created = created, updated = updated, truncated = truncated,
    about = about, outcome = outcome
  }
end

local function parse_register(line)
  local tenant, job, cid, total, state, completed, failed, skipped, canceled, rate_limited, deadline, auto_complete,
    fail_on_deadline, created, title, job_kind, item_kind, concurrency, metadata = match(line, REGISTER_LINE)
  return tenant and {
    type = 'register', tenant = tenant, job = job, cid = cid, total = total, state = state, completed = completed, failed = failed,
    skipped = skipped, canceled = canceled, rate_limited = rate_limited, deadline = deadline, auto_complete = auto_complete,
    fail_on_deadline = fail_on_deadline, created = created, title = title, job_kind = job_kind, item_kind = item_kind,
    concurrency = concurrency, metadata = metadata
  }
end

local function parse_progress(line)
  local tenant, job, cid, total, completed, failed, skipped, canceled, rate_limited, retry_at = match(line, PROGRESS_LINE)
  return tenant and {
    type = 'progress', tenant = tenant, job = job, cid = cid, total = total, completed = completed, failed = failed,
    skipped = skipped, canceled = canceled, rate_limited = rate_limited, retry_at = retry_at
  }
end

local function parse_small(line, letter)
  local tenant, job, cid, one, two, three, four
  if letter == 's' then
    tenant, job, cid, one, two, three, four = match(line, STATE_LINE)
    return tenant and { type = 'state', tenant = tenant, job = job, cid = cid, state = one, resume = two, retry_at = three, reason = four }
  elseif letter == 'h' then
    tenant, job, cid, one, two = match(line, HEARTBEAT_LINE)
    return tenant and { type = 'heartbeat', tenant = tenant, job = job, cid = cid, ack = one }
  elseif letter == 'c' then
    tenant, job, cid, one, two = match(line, CONTROL_LINE)
    return tenant and { type = 'control', tenant = tenant, job = job, cid = cid, action = one, reason = two }
  end
  refuse('unknown_type', letter)
end

local function parse_line(line)
  if #line > limits.event_bytes then refuse('event_too_large', #line .. ' bytes, at most ' .. limits.event_bytes) end
  if not is_utf8(line) then refuse('invalid_utf8', 'the event is not UTF-8') end
  local letter, event = sub(line, 1, 1), nil
  if letter == 'i' then event = parse_item(line)
  elseif letter == 'r' then event = parse_register(line)
  elseif letter == 'p' then event = parse_progress(line)
  else event = parse_small(line, letter) end
  if not event then refuse('malformed_entry', 'a line of type ' .. letter .. ' with other columns than its format has') end
  return event
end
