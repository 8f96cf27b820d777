-- The reads of one call: entries behind the cursor, then everything of their jobs that the events need, then jobs whose
-- time has come. None of it stands under pcall: an error of Redis here (a slot on the move) must end the call unwritten.

local READ_BYTES = 32768
local STEP_FIRST = 16
local TIMERS_MAX = 64
local ENTRY_EVENTS_MAX = 64
local ENTRY_BYTES_MAX = 65536

local function job_of(tenant, id)
  local member = tenant .. '/' .. id
  local job = batch.jobs[member]
  if not job then
    if not is_id(tenant) or not is_id(id) then
      refuse('invalid_field', (is_id(tenant) and 'job ' .. cut(id, 64) or 'tenant ' .. cut(tenant, 64)) .. ' does not match the pattern of identifiers')
    end
    job = {
      member = member, key = ARGV[1] .. member, tenant = tenant, id = id, known = false, wanted = { '_', 's' }, wants = {},
      items = {}, written = {}, events = {}, progress = {}, new_items = {}, changed = false
    }
    batch.jobs[member] = job
    batch.order[#batch.order + 1] = job
  end
  return job
end

local function want(job, field)
  if job.wants[field] then return end
  job.wanted[#job.wanted + 1] = field
  job.wants[field] = true
end

-- Refusals become part of the entry: { refused = … } in the place of the event.
local function address(event, data)
  event.target = job_of(event.tenant, event.job)
  event.data = data
  if event.type == 'item' then want(event.target, 'i:' .. event.item)
  elseif event.type == 'register' then want(event.target, 'r') end
  return event
end

local function parse_one_line(line, before)
  local event = parse_line(line)
  if event.tenant == '' and event.job == '' then
    if not before then refuse('malformed_entry', 'the first line of a batch names no job') end
    event.tenant, event.job = before.tenant, before.job
  end
  return address(event, line)
end

local function parse_one_flat(fields)
  local event = parse_flat(fields)
  return address(event, event.data)
end

local function guarded(parse, data, before)
  local ok, result = pcall(parse, data, before)
  if ok then return result end
  if type(result) ~= 'table' then result = { code = 'malformed_entry', detail = tostring(result), state = '', allowed = '' } end
  return { refused = result, data = type(data) == 'table' and (data.data or '') or data, fields = type(data) == 'table' and data or nil }
end

local function too_large(detail)
  return { code = 'entry_too_large', detail = detail, state = '', allowed = '' }
end

local function parse_batch(entry, text)
  local before
  for line in string.gmatch(sub(text, 3), '[^\n]+') do
    if #entry.events == ENTRY_EVENTS_MAX then
      entry.events = { { refused = too_large('more than ' .. ENTRY_EVENTS_MAX .. ' events'), data = text } }
      return
    end
    local event = guarded(parse_one_line, line, before)
    if not event.refused then before = event end
    entry.events[#entry.events + 1] = event
  end
end

-- One entry of the stream. Returns false for one of a newer format, which must wait for a newer build.
local function parse_entry(id, list)
  local fields, bytes = {}, 0
  for at = 1, #list, 2 do
    fields[list[at]] = list[at + 1]
    bytes = bytes + #list[at] + #list[at + 1]
  end
  local entry = { id = id, ms = match(id, '^%d+'), events = {}, re = fields.re, bytes = bytes }
  local ok, refusal = pcall(function()
    if entry.re and not is_id(entry.re) then
      entry.re = nil
      refuse('malformed_entry', 're does not match the pattern of identifiers')
    end
    if not fields.p then return end
    if not is_id(fields.p) or not find(fields.n or '', '^%d+$') or #fields.n > 14 then
      refuse('malformed_entry', 'p must be an identifier and n a whole number')
    end
    entry.producer, entry.number = fields.p, fields.n + 0
    if batch.producers[fields.p] == nil then
      batch.producers[fields.p] = false
      batch.producer_names[#batch.producer_names + 1] = fields.p
    end
  end)
  if ok and bytes > ENTRY_BYTES_MAX + 512 then
    ok, refusal = false, too_large(bytes .. ' bytes, at most ' .. ENTRY_BYTES_MAX)
  end
  local text = fields.b
  if text and ok then
    if sub(text, 1, 2) ~= '1\n' then
      if find(text, '^%d+\n') and not find(text, '^0') then return false end
      ok, refusal = false, { code = 'malformed_entry', detail = 'a batch begins with its format number', state = '', allowed = '' }
    end
  end
  if not ok then
    entry.events[1] = { refused = refusal, data = text or fields.data or '', fields = fields }
  elseif text then
    parse_batch(entry, text)
  else
    entry.events[1] = guarded(parse_one_flat, fields)
  end
  batch.entries[#batch.entries + 1] = entry
  batch.events = batch.events + #entry.events
  clock.cursor, clock.last_entry_ms = id, entry.ms
  clock.last_entry_base = max(entry.ms + 0, clock.gap_end) - clock.gap_ms
  return true, bytes
end

-- In steps that follow the size of the last entry, so that 16 large entries do not come at once.
local function read_entries(events_max, jobs_max)
  local step, bytes = min(STEP_FIRST, events_max), 0
  while true do
    local found = redis.call('XRANGE', keys.ingest, '(' .. clock.cursor, '+', 'COUNT', step)
    for at = 1, #found do
      local readable, size = parse_entry(found[at][1], found[at][2])
      if not readable then return 'newer_format' end
      bytes = bytes + size
      if batch.events >= events_max or #batch.order >= jobs_max or bytes >= READ_BYTES then
        clock.more = at < #found or #found == step
        return 'ok'
      end
    end
    if #found < step then return 'ok' end
    local last = max(64, batch.entries[#batch.entries].bytes)
    step = max(1, min(events_max - batch.events, floor((READ_BYTES - bytes) / last) + 1))
  end
end

local function read_fields(job)
  local wanted = job.wanted
  local values = redis.call('HMGET', job.key, unpack(wanted))
  job.records = {}
  for at = 3, #wanted do
    local field = wanted[at]
    if field == 'r' then job.registration = values[at] or nil
    else job.records[sub(field, 3)] = values[at] end
  end
  job.exists, job.durations = values[1] and true or false, values[2] or ''
  if values[1] then load_job(job, values[1]) end
end

local function read_jobs(due_at)
  if #batch.producer_names > 0 then
    local stored = redis.call('HMGET', keys.producers, unpack(batch.producer_names))
    for at, name in ipairs(batch.producer_names) do
      batch.producers[name] = { number = stored[at] and match(stored[at], '^%d+') + 0 or 0, known = stored[at] and true or false }
    end
  end
  local due = redis.call('ZRANGEBYSCORE', keys.agenda, '-inf', due_at, 'LIMIT', 0, TIMERS_MAX)
  batch.due = {}
  for _, member in ipairs(due) do
    local tenant, id = match(member, '^([^/]*)/(.*)$')
    batch.due[#batch.due + 1] = job_of(tenant, id)
  end
  for _, job in ipairs(batch.order) do read_fields(job) end
end

-- Every job is in the agenda if and only if its hash exists; otherwise its slot is on the move and half of it elsewhere.
local function preflight()
  if #batch.order == 0 then return true end
  local members = {}
  for at, job in ipairs(batch.order) do members[at] = job.member end
  local scores = redis.call('ZMSCORE', keys.agenda, unpack(members))
  for at, job in ipairs(batch.order) do
    job.score = scores[at] and scores[at] + 0 or nil
    if job.exists ~= (job.score ~= nil) then return false end
  end
  return true
end
