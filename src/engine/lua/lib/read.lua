-- The reads of one call: entries behind the cursor, then of each of their jobs what the events need, then jobs whose time
-- has come. None of it stands under pcall: an error of Redis here (a slot on the move) must end the call unwritten.

-- #constant EVENT_BYTES 16384
-- #constant ENTRY_BYTES 65536
-- The most frequent line: no correlation id, no numbers. Its event is a plain state and tail, in parallel lists.
-- #constant SHORT_LINE '^i\t([^\t]*)\t([^\t]*)\t\t([^\t]*)\t(%l*)\t\t\t\t\t\t\t\t(.*)$'
-- Any line: tenant job cid item state, then numbers and tail as they are.
-- #constant ITEM_LINE '^i{5 columns}\t([^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*)\t(.*)$'

-- A refusal found while reading stands in the place of the event.
function R.add_refused(code, detail, line, fields)
  local n = R.count + 1
  R.count, kinds[n], targets[n], lines[n] = n, 'refused', fields or false, line
  events[n] = { code = code, detail = detail, state = '', allowed = '' }
end

function R.job_of(tenant, id)
  local member = tenant .. '/' .. id
  local job = R.jobs[member]
  if job then return job end
  if not R.is_id(tenant) or not R.is_id(id) then return nil end
  job = R.new_job(member, tenant, id)
  R.jobs[member], R.order[#R.order + 1] = job, job
  return job
end

function R.want(job, field)
  if not job.at[field] then
    local at = job.width_wanted + 1
    job.wanted[at], job.at[field], job.width_wanted = field, at, at
  end
end

function R.add_event(kind, event, job, line)
  local n = R.count + 1
  R.count, kinds[n], targets[n], events[n], lines[n] = n, kind, job, event, line
  if kind == 'item' then
    names[n] = 'i:' .. event[E_ITEM]
    R.want(job, names[n])
  elseif kind == 'register' then R.want(job, 'r') end
end

function R.add_short(job, item, state, tail, line)
  local n, name, at = R.count + 1, 'i:' .. item, job.at
  R.count, kinds[n], targets[n], events[n], lines[n], names[n], tails[n] = n, 'short', job, state, line, name, tail
  if not at[name] then
    local wanted = job.width_wanted + 1
    job.wanted[wanted], at[name], job.width_wanted = name, wanted, wanted
  end
  return job
end

-- Of a refused line only this is known: without an address it means the job of the line before, and so does the next one;
-- otherwise nobody knows whom the next one means.
function R.refuse_line(code, detail, line, before)
  R.add_refused(code, detail, line)
  return line:find('^.\t\t\t') and before or nil
end

-- One line; `before` is the job of the line before. Returns the job of this one.
function R.add_line(line, before)
  if #line > EVENT_BYTES then return R.refuse_line('event_too_large', #line .. ' bytes, at most ' .. EVENT_BYTES, line, before) end
  local event, kind
  local tenant, id, item, state, tail = line:match(SHORT_LINE)
  if tenant then
    if id == '' and tenant == '' and before then return R.add_short(before, item, state, tail, line) end
    local job = R.job_of(tenant, id)
    if job then return R.add_short(job, item, state, tail, line) end
  end
  if line:byte() == 105 then
    event, kind = { line:match(ITEM_LINE) }, 'item'
    tenant, id = event[E_TENANT], event[E_JOB]
  else
    R.other_line = R.other_line or line_parser()
    event, kind = R.other_line(line)
    if event then tenant, id = event.tenant, event.job end
  end
  if not tenant then
    local detail = 'a line of type ' .. R.cut(line, 1) .. ' with other columns than its format has'
    return R.refuse_line(kind and 'malformed_entry' or 'unknown_type', detail, line, before)
  end
  if kind ~= 'item' and not R.is_utf8(line) then return R.refuse_line('invalid_utf8', 'the event is not UTF-8', line, before) end
  local job = before
  if id ~= '' or tenant ~= '' then job = R.job_of(tenant, id) end
  if not job then
    local detail = tenant == '' and id == '' and 'the line names no job, nor does the one before' or
      'tenant ' .. R.cut(tenant, 64) .. ' or job ' .. R.cut(id, 64) .. ' does not match the pattern of identifiers'
    return R.refuse_line('invalid_field', detail, line, nil)
  end
  R.add_event(kind, event, job, line)
  return job
end

function R.add_batch(text, first)
  local at, job = 3, nil
  while true do
    local stop = text:find('\n', at, true)
    local line = text:sub(at, (stop or 0) - 1)
    if R.count - first + 1 >= 64 then
      R.count = first - 1
      return R.add_refused('entry_too_large', 'more than 64 events', text)
    end
    job = R.add_line(line, job)
    if not stop then return end
    at = stop + 1
  end
end

function R.add_flat(list)
  local fields = {}
  for at = 1, #list, 2 do fields[list[at]] = list[at + 1] end
  R.parse_flat = R.parse_flat or flat_parser()
  local ok, kind, event, tenant, id = pcall(R.parse_flat, fields)
  if not ok then
    if type(kind) ~= 'table' then kind = { code = 'malformed_entry', detail = tostring(kind) } end
    return R.add_refused(kind.code, kind.detail, fields.data or '', fields)
  end
  local job = R.job_of(tenant, id)
  if not job then return R.add_refused('invalid_field', 'tenant or job does not match the pattern of identifiers', fields.data or '', fields) end
  R.add_event(kind, event, job, fields.data or '')
end

function R.use_producer(entry, producer, number)
  if not R.is_id(producer) or not number or #number > 14 or not number:find('^%d+$') then return false end
  entry.producer, entry.number = producer, number + 0
  if R.producers[producer] == nil then
    R.producers[producer] = false
    R.producer_names[#R.producer_names + 1] = producer
  end
  return true
end

-- One entry of the stream. Returns its size, or nil for one of a newer format, which must wait for a newer build.
function R.add_entry(id, list)
  local bytes, batch, producer, number, re = 0, nil, nil, nil, nil
  for at = 1, #list, 2 do
    local name, value = list[at], list[at + 1]
    bytes = bytes + #name + #value
    if name == 'b' then batch = value
    elseif name == 'p' then producer = value
    elseif name == 'n' then number = value
    elseif name == 're' then re = value end
  end
  local entry = { id = id, ms = id:match('^%d+'), first = R.count + 1, last = 0, re = false, producer = false, number = 0, bytes = bytes }
  if batch and batch:sub(1, 2) ~= '1\n' and batch:find('^[1-9]%d*\n') then return nil end
  if (producer or number) and not R.use_producer(entry, producer or '', number) then
    R.add_refused('malformed_entry', 'p must be an identifier and n a whole number', batch or '')
  elseif re and not R.is_id(re) then
    R.add_refused('malformed_entry', 're does not match the pattern of identifiers', batch or '')
  elseif bytes > ENTRY_BYTES + 512 then
    R.add_refused('entry_too_large', bytes .. ' bytes, at most ' .. ENTRY_BYTES, batch or '')
  elseif not batch then
    R.add_flat(list)
  elseif batch:sub(1, 2) ~= '1\n' then
    R.add_refused('malformed_entry', 'a batch begins with its format number', batch)
  else
    R.add_batch(batch, entry.first)
  end
  if re and R.is_id(re) then entry.re = re end
  entry.last = R.count
  R.entries[#R.entries + 1] = entry
  R.cursor = id
  return bytes
end

-- In steps that follow the size of the last entry, so that 16 large entries do not come at once.
function R.read_entries(events_max, jobs_max)
  local step, bytes = math.min(16, events_max), 0
  while true do
    local found = redis.call('XRANGE', KEYS[1], '(' .. R.cursor, '+', 'COUNT', step)
    for at = 1, #found do
      local size = R.add_entry(found[at][1], found[at][2])
      if not size then return 'newer_format' end
      bytes = bytes + size
      if R.count >= events_max or #R.order >= jobs_max or bytes >= 32768 then
        R.more = at < #found or #found == step
        return 'ok'
      end
    end
    if #found < step then return 'ok' end
    step = math.max(1, math.min(events_max - R.count, math.floor((32768 - bytes) / math.max(64, R.entries[#R.entries].bytes)) + 1))
  end
end

function R.read_jobs(due_at)
  if #R.producer_names > 0 then
    local stored = redis.call('HMGET', KEYS[9], unpack(R.producer_names))
    for at, name in ipairs(R.producer_names) do
      R.producers[name] = { number = stored[at] and stored[at]:match('^%d+') + 0 or 0, seen = false, known = stored[at] and true }
    end
  end
  local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', due_at, 'LIMIT', 0, 64)
  for at = 1, #due do R.job_of(due[at]:match('^([^/]*)/(.*)$')) end
  local members = {}
  for at = 1, #R.order do
    local job = R.order[at]
    local values = redis.call('HMGET', job.key, unpack(job.wanted))
    members[at], job.values, job.durations, job.exists = job.member, values, values[2] or '', values[1] and true
    if values[1] then R.load_header(job, values[1]) end
  end
  return members
end

-- Every job is in the agenda if and only if its hash exists; otherwise its slot is on the move and half of it elsewhere.
function R.whole_slot(members)
  if #members == 0 then return true end
  local scores = redis.call('ZMSCORE', KEYS[3], unpack(members))
  for at = 1, #members do
    local job = R.order[at]
    if (scores[at] and true) ~= job.exists then return false end
    job.score = scores[at] and scores[at] + 0
  end
  return true
end
