-- Hand-written entries (type tenant job data …) into the same events that packed lines give.

-- #constant TITLE_BYTES 512
-- #constant TEXT_BYTES 2048
-- #constant METADATA_BYTES 4096

local function flat_text(data, name, bytes_max)
  local value = data[name]
  if value == nil or value == cjson.null then return '', false end
  if type(value) ~= 'string' then R.refuse('invalid_field', name .. ' must be text') end
  local text, was_cut = R.cut(value, bytes_max)
  return R.escape(text), was_cut
end

local function flat_number(data, name)
  local value = data[name]
  if value == nil or value == cjson.null then return '' end
  if type(value) ~= 'number' or value ~= value or value >= 1e14 or value <= -1e14 then
    R.refuse('invalid_field', name .. ' must be a finite number')
  end
  return value
end

local function flat_whole(data, name)
  local value = flat_number(data, name)
  if value ~= '' and (value < 0 or value ~= math.floor(value)) then
    R.refuse('invalid_field', name .. ' must be a whole number, 0 or more; it is ' .. value)
  end
  return value
end

local function flat_flag(data, name)
  local value = data[name]
  if value == nil or value == cjson.null then return '' end
  if type(value) ~= 'boolean' then R.refuse('invalid_field', name .. ' must be true or false') end
  return value and '1' or '0'
end

local function flat_time(data, name)
  local value = data[name]
  if value == nil or value == cjson.null then return '' end
  local ms = type(value) == 'string' and iso_ms(value) or type(value) == 'number' and value
  if not ms or ms ~= ms or ms < 0 or ms >= 1e14 then R.refuse('invalid_field', name .. ' must be an ISO 8601 time or ms since 1970') end
  return math.floor(ms)
end

-- A value that only passes through: its JSON text. Strings are cut, other values beyond the limit become their cut text.
local function flat_json(event, data, name, bytes_max)
  local value = data[name]
  if value == nil or value == cjson.null then return '', false end
  if type(value) == 'string' then
    local text, was_cut = R.cut(value, bytes_max)
    return R.escape(cjson.encode(text)), was_cut
  end
  event.members = event.members or json_members(event.data)
  local raw = event.members[name]
  if not raw then R.refuse('malformed_json', name .. ' has an escaped name') end
  if #raw <= bytes_max then return R.escape(raw), false end
  return R.escape(cjson.encode((R.cut(raw, bytes_max)))), true
end

local function flat_metadata(event, data)
  local value = data.metadata
  if value == nil or value == cjson.null then return '' end
  event.members = event.members or json_members(event.data)
  local raw = event.members.metadata
  if not raw or not raw:find('^{') then R.refuse('invalid_field', 'metadata must be an object') end
  if #raw > METADATA_BYTES then R.refuse('invalid_field', 'metadata holds ' .. #raw .. ' bytes, at most ' .. METADATA_BYTES) end
  return R.escape(raw)
end

local function fill_register(event, data)
  event.type, event.state = 'register', flat_text(data, 'state', 32)
  event.total, event.completed, event.failed = flat_whole(data, 'items_total'), flat_whole(data, 'items_completed'), flat_whole(data, 'items_failed')
  event.skipped, event.canceled = flat_whole(data, 'items_skipped'), flat_whole(data, 'items_canceled')
  event.rate_limited, event.deadline = flat_flag(data, 'rate_limited'), flat_whole(data, 'processing_deadline_ms')
  event.auto_complete, event.fail_on_deadline = flat_flag(data, 'auto_complete'), flat_flag(data, 'fail_on_deadline')
  event.created, event.title = flat_time(data, 'created_at'), flat_text(data, 'title', TITLE_BYTES)
  event.job_kind, event.item_kind = flat_text(data, 'job_kind', 128), flat_text(data, 'item_kind', 64)
  event.concurrency, event.metadata = flat_whole(data, 'concurrency'), flat_metadata(event, data)
end

local function fill_progress(event, data)
  event.type, event.total = 'progress', flat_whole(data, 'items_total')
  event.completed, event.failed = flat_whole(data, 'items_completed'), flat_whole(data, 'items_failed')
  event.skipped, event.canceled = flat_whole(data, 'items_skipped'), flat_whole(data, 'items_canceled')
  event.rate_limited, event.retry_at = flat_flag(data, 'rate_limited'), flat_time(data, 'retry_at')
end

local function fill_state(event, data)
  event.type, event.state, event.resume = 'state', flat_text(data, 'state', 32), flat_flag(data, 'resume')
  event.retry_at, event.reason = flat_time(data, 'retry_at'), flat_text(data, 'reason', TITLE_BYTES)
end

local function item_columns(event, data)
  local percent, duration = flat_number(data, 'percent_complete'), flat_number(data, 'duration_ms')
  if percent ~= '' then
    if percent < 0 or percent > 100 then R.refuse('invalid_field', 'percent_complete must be 0 to 100; it is ' .. percent) end
    percent = math.floor(percent * 100 + 0.5)
  end
  if duration ~= '' then
    if duration < 0 then R.refuse('invalid_field', 'duration_ms must be 0 or more; it is ' .. duration) end
    duration = math.floor(duration + 0.5)
  end
  local title, title_cut = flat_text(data, 'title', TITLE_BYTES)
  local problem, problem_cut = flat_json(event, data, 'error', TEXT_BYTES)
  local result, result_cut = flat_json(event, data, 'result', TEXT_BYTES)
  local id, state = flat_text(data, 'id', 256), flat_text(data, 'state', 32)
  local numbers = {
    flat_whole(data, 'attempt'), flat_flag(data, 'retryable'), percent, duration, flat_time(data, 'created_at'), flat_time(data, 'updated_at'),
    (title_cut or problem_cut or result_cut) and '1' or ''
  }
  local kind, worker = flat_text(data, 'kind', 128), flat_text(data, 'worker', 128)
  local tail = { flat_whole(data, 'row_index'), flat_number(data, 'weight'), title, kind, worker, problem, result }
  return { event.tenant, event.job, event.cid, id, state, table.concat(numbers, '\t'), table.concat(tail, '\t') }
end

local function parse_flat(fields)
  local event = { tenant = fields.tenant or 'default', job = fields.job or '', cid = '', data = fields.data or '{}' }
  if #event.data > EVENT_BYTES then
    R.refuse('event_too_large', #event.data .. ' bytes, at most ' .. EVENT_BYTES)
  end
  if not R.is_utf8(event.data) then R.refuse('invalid_utf8', 'data is not UTF-8') end
  if fields.cid then
    if #fields.cid > 128 or not R.is_utf8(fields.cid) then R.refuse('invalid_field', 'cid must be UTF-8 of at most 128 bytes') end
    event.cid = R.escape(fields.cid)
  end
  local data = json_object(event.data)
  local kind = fields.type
  if kind == 'item.update' then return 'item', item_columns(event, data), event.tenant, event.job
  elseif kind == 'job.progress' then fill_progress(event, data)
  elseif kind == 'job.state' then fill_state(event, data)
  elseif kind == 'job.heartbeat' then event.type, event.ack = 'heartbeat', flat_text(data, 'ack', 128)
  elseif kind == 'job.register' then fill_register(event, data)
  elseif kind == 'job.control' then
    event.type, event.action, event.reason = 'control', flat_text(data, 'action', 32), flat_text(data, 'reason', TITLE_BYTES)
  else R.refuse('unknown_type', kind and R.cut(kind, 64) or 'no type') end
  return event.type, event, event.tenant, event.job
end
