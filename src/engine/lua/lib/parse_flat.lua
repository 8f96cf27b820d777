-- Hand-written entries (type tenant job data …) into the same events that packed lines give.

local function flat_text(data, name, bytes_max)
  local value = data[name]
  if value == nil or value == cjson.null then return '', false end
  if type(value) ~= 'string' then refuse('invalid_field', name .. ' must be text') end
  local text, was_cut = cut(value, bytes_max)
  return escape(text), was_cut
end

local function flat_number(data, name)
  local value = data[name]
  if value == nil or value == cjson.null then return '' end
  if type(value) ~= 'number' or value ~= value or value >= 1e14 or value <= -1e14 then
    refuse('invalid_field', name .. ' must be a finite number')
  end
  return value
end

local function flat_whole(data, name)
  local value = flat_number(data, name)
  if value ~= '' and (value < 0 or value ~= floor(value)) then
    refuse('invalid_field', name .. ' must be a whole number, 0 or more; it is ' .. value)
  end
  return value
end

local function flat_flag(data, name)
  local value = data[name]
  if value == nil or value == cjson.null then return '' end
  if type(value) ~= 'boolean' then refuse('invalid_field', name .. ' must be true or false') end
  return value and '1' or '0'
end

local function flat_time(data, name)
  local value = data[name]
  if value == nil or value == cjson.null then return '' end
  local ms = type(value) == 'string' and iso_ms(value) or type(value) == 'number' and value
  if not ms or ms ~= ms or ms < 0 or ms >= 1e14 then refuse('invalid_field', name .. ' must be an ISO 8601 time or ms since 1970') end
  return floor(ms)
end

-- A value that only passes through: its JSON text. Strings are cut, other values beyond the limit become their cut text.
local function flat_json(event, data, name, bytes_max)
  local value = data[name]
  if value == nil or value == cjson.null then return '', false end
  if type(value) == 'string' then
    local text, was_cut = cut(value, bytes_max)
    return escape(cjson.encode(text)), was_cut
  end
  event.members = event.members or json_members(event.data)
  local raw = event.members[name]
  if not raw then refuse('malformed_json', name .. ' has an escaped name') end
  if #raw <= bytes_max then return escape(raw), false end
  return escape(cjson.encode((cut(raw, bytes_max)))), true
end

local function flat_metadata(event, data)
  local value = data.metadata
  if value == nil or value == cjson.null then return '' end
  event.members = event.members or json_members(event.data)
  local raw = event.members.metadata
  if not raw or not find(raw, '^{') then refuse('invalid_field', 'metadata must be an object') end
  if #raw > limits.metadata_bytes then refuse('invalid_field', 'metadata holds ' .. #raw .. ' bytes, at most ' .. limits.metadata_bytes) end
  return escape(raw)
end

local function fill_register(event, data)
  event.type, event.state = 'register', flat_text(data, 'state', 32)
  event.total, event.completed, event.failed = flat_whole(data, 'items_total'), flat_whole(data, 'items_completed'), flat_whole(data, 'items_failed')
  event.skipped, event.canceled = flat_whole(data, 'items_skipped'), flat_whole(data, 'items_canceled')
  event.rate_limited, event.deadline = flat_flag(data, 'rate_limited'), flat_whole(data, 'processing_deadline_ms')
  event.auto_complete, event.fail_on_deadline = flat_flag(data, 'auto_complete'), flat_flag(data, 'fail_on_deadline')
  event.created, event.title = flat_time(data, 'created_at'), flat_text(data, 'title', limits.title_bytes)
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
  event.retry_at, event.reason = flat_time(data, 'retry_at'), flat_text(data, 'reason', limits.title_bytes)
end

local function fill_item(event, data)
  event.type, event.item, event.state = 'item', flat_text(data, 'id', 256), flat_text(data, 'state', 32)
  event.attempt, event.retryable = flat_whole(data, 'attempt'), flat_flag(data, 'retryable')
  local percent = flat_number(data, 'percent_complete')
  if percent ~= '' then
    if percent < 0 or percent > 100 then refuse('invalid_field', 'percent_complete must be 0 to 100; it is ' .. percent) end
    percent = floor(percent * 100 + 0.5)
  end
  event.percent = percent
  event.duration = flat_number(data, 'duration_ms')
  if event.duration ~= '' and event.duration < 0 then refuse('invalid_field', 'duration_ms must be 0 or more') end
  if event.duration ~= '' then event.duration = floor(event.duration + 0.5) end
  event.created, event.updated = flat_time(data, 'created_at'), flat_time(data, 'updated_at')
  local title, title_cut = flat_text(data, 'title', limits.title_bytes)
  local problem, problem_cut = flat_json(event, data, 'error', limits.text_bytes)
  local result, result_cut = flat_json(event, data, 'result', limits.text_bytes)
  event.truncated = (title_cut or problem_cut or result_cut) and '1' or ''
  event.about = flat_whole(data, 'row_index') .. '\t' .. flat_number(data, 'weight') .. '\t' .. title .. '\t' .. flat_text(data, 'kind', 128)
  event.outcome = flat_text(data, 'worker', 128) .. '\t' .. problem .. '\t' .. result
end

local function parse_flat(fields)
  local event = { tenant = fields.tenant or 'default', job = fields.job or '', cid = '', data = fields.data or '{}' }
  if #event.data > limits.event_bytes then
    refuse('event_too_large', #event.data .. ' bytes, at most ' .. limits.event_bytes)
  end
  if not is_utf8(event.data) then refuse('invalid_utf8', 'data is not UTF-8') end
  if fields.cid then
    if #fields.cid > 128 or not is_utf8(fields.cid) then refuse('invalid_field', 'cid must be UTF-8 of at most 128 bytes') end
    event.cid = escape(fields.cid)
  end
  local data = json_object(event.data)
  local kind = fields.type
  if kind == 'item.update' then fill_item(event, data)
  elseif kind == 'job.progress' then fill_progress(event, data)
  elseif kind == 'job.state' then fill_state(event, data)
  elseif kind == 'job.heartbeat' then event.type, event.ack = 'heartbeat', flat_text(data, 'ack', 128)
  elseif kind == 'job.register' then fill_register(event, data)
  elseif kind == 'job.control' then
    event.type, event.action, event.reason = 'control', flat_text(data, 'action', 32), flat_text(data, 'reason', limits.title_bytes)
  else refuse('unknown_type', kind and cut(kind, 64) or 'no type') end
  return event
end
