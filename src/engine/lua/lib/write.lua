-- The writes of one call. Texts are made first (with the last reads), then nothing is left that could fail.

local CHUNK_BYTES = 4000
local PAGE_ITEMS = 16
local answers_kept_ms = 10000

-- Events of this call as chunks of the log, and which old chunks fall out of its bounds.
local function prepare_log(job, fields, drop, epoch)
  local first, last, events, bytes, seen, outbox = match(job.store, '^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)$')
  first, last, events, bytes = first + 0, last + 0, events + 0, bytes + 0
  local from, at, total = job.seq0 + 1, 1, #job.events
  while at <= total do
    local size, to = #job.events[at], at
    while to < total and size + #job.events[to + 1] <= CHUNK_BYTES do
      to = to + 1
      size = size + #job.events[to] + 1
    end
    local text = concat({ '1', epoch, job.rev, from, from + to - at }, '\t') .. '\n' .. concat(job.events, '\n', at, to)
    if last == 0 then first = 1 end
    last, events, bytes = last + 1, events + to - at + 1, bytes + #text
    fields[#fields + 1], fields[#fields + 2] = 'l:' .. last, text
    from, at = from + to - at + 1, to + 1
  end
  while first < last and (events > limits.log_events or bytes > limits.log_bytes) do
    local name = 'l:' .. first
    local text = redis.call('HGET', job.key, name)
    if not text then break end -- written by this very call
    local chunk_from, chunk_to = match(text, '^1\t[^\t]*\t[^\t]*\t(%d+)\t(%d+)')
    drop[#drop + 1] = name
    first, events, bytes = first + 1, events - (chunk_to - chunk_from + 1), bytes - #text
  end
  return first, last, events, bytes, seen + 0, outbox
end

-- Ids in the order of first sight, 16 a page; the page that is not full is continued.
local function prepare_pages(job, fields, seen)
  local at, total = 1, #job.new_items
  while at <= total do
    local page, filled = floor(seen / PAGE_ITEMS), seen % PAGE_ITEMS
    local name = 'o:' .. page
    local to = min(total, at + PAGE_ITEMS - filled - 1)
    local ids = concat(job.new_items, '\t', at, to)
    if filled > 0 then ids = redis.call('HGET', job.key, name) .. '\t' .. ids end
    fields[#fields + 1], fields[#fields + 2] = name, ids
    seen, at = seen + to - at + 1, to + 1
  end
  return seen
end

local function progress_lines(job)
  local lines = {}
  for _, line in pairs(job.progress) do lines[#lines + 1] = line end
  return #lines > 0 and '\n' .. concat(lines, '\n') or ''
end

local function prepare_job(job, outbox_id)
  local epoch = max(job.epoch + 0, partition_epoch)
  local visible = job.rev ~= job.rev0
  local fields, drop = { '_', '' }, {}
  local first, last, events, bytes, seen, outbox = prepare_log(job, fields, drop, epoch)
  seen = prepare_pages(job, fields, seen)
  for id, record in pairs(job.written) do fields[#fields + 1], fields[#fields + 2] = 'i:' .. id, record end
  if job.durations_changed then fields[#fields + 1], fields[#fields + 2] = 's', job.durations end
  if job.state ~= job.state0 then fields[#fields + 1], fields[#fields + 2] = 'state', job.state end
  if job.control_changed or job.registered then fields[#fields + 1], fields[#fields + 2] = 'control', match(job.control, '^[^,]*') end
  if job.registered then fields[#fields + 1], fields[#fields + 2] = 'r', job.registration end
  if job.strip then
    first, last, events, bytes, seen = 0, 0, 0, 0, 0
    fields = { '_', '', 'r', redis.call('HGET', job.key, 'r'), 'state', job.state, 'control', '' }
  end
  job.store = concat({ first, last, events, bytes, seen, visible and outbox_id or outbox }, ',')
  fields[2] = header_text(job)
  job.fields, job.drop = fields, drop
  if not visible then return end
  job.message = concat({ '1u', epoch, job.seq0 + 1, job.seq, clock.gap_ms, job.tenant, job.id }, '\t') .. '\n' .. fields[2] .. '\n' ..
    (job.registered and job.registration or '') .. (#job.events > 0 and '\n' .. concat(job.events, '\n') or '')
  job.tenant_line = 'u\t' .. job.id .. '\t' .. epoch .. '\t' .. fields[2]
end

-- What a change of the agenda means: earlier times are written at once, later ones when the old one has come.
local function prepare_due(job, agenda)
  local due = next_due(job)
  if not job.score or due < job.score or job.score <= clock.due_at then
    if due ~= job.score then agenda[#agenda + 1], agenda[#agenda + 2] = due, job.member end
  end
end

local writes = { agenda = {}, dirty = {}, left = {}, outbox = {}, tenants = {}, tenant_lines = {} }

local function tenant_line(tenant, line)
  local lines = writes.tenant_lines[tenant]
  if not lines then
    lines = { '1t\t' .. clock.gap_ms }
    writes.tenant_lines[tenant] = lines
    writes.tenants[#writes.tenants + 1] = tenant
  end
  lines[#lines + 1] = line
end

local function prepare_writes(outbox_full, due_at)
  clock.due_at = due_at
  local to_outbox = limits.sink and not outbox_full
  local outbox_id, visible = clock.change + 1, false
  for _, job in ipairs(batch.order) do
    if job.gone then
      job.epoch_now = max(job.epoch + 0, partition_epoch)
      tenant_line(job.tenant, 'g\t' .. job.id .. '\t' .. job.epoch_now .. '\t' .. job.rev)
    elseif job.known and (job.touched or job.looked_at) then
      prepare_job(job, to_outbox and outbox_id or nil)
      prepare_due(job, writes.agenda)
      if job.message then
        visible = true
        tenant_line(job.tenant, job.tenant_line)
        if to_outbox then
          writes.outbox[#writes.outbox + 1], writes.outbox[#writes.outbox + 2] = 'm', job.message
          clock.bytes_in = clock.bytes_in + #job.message
        elseif limits.sink then
          writes.dirty[#writes.dirty + 1], writes.dirty[#writes.dirty + 2] = job.seq0 + 1, job.member
        end
      end
    end
  end
  if visible and to_outbox then clock.change = outbox_id end
end

local function write_job(job)
  if job.gone then
    redis.call('UNLINK', job.key)
    redis.call('ZREM', keys.agenda, job.member)
    redis.call('ZREM', keys.jobs, job.tenant .. '/' .. job.epoch .. '/' .. job.id)
    return
  end
  if job.strip then redis.call('UNLINK', job.key) end
  redis.call('HSET', job.key, unpack(job.fields))
  if #job.drop > 0 then redis.call('HDEL', job.key, unpack(job.drop)) end
  if job.registered then redis.call('ZADD', keys.jobs, 0, job.tenant .. '/' .. job.epoch .. '/' .. job.id) end
end

local function write_producers()
  local fields = {}
  for _, name in ipairs(batch.producer_names) do
    local producer = batch.producers[name]
    if producer.seen then fields[#fields + 1], fields[#fields + 2] = name, producer.number .. '\t' .. producer.seen end
  end
  if #fields > 0 then redis.call('HSET', keys.producers, unpack(fields)) end
end

local function write_streams()
  for _, letter in ipairs(dead_letters) do redis.call('XADD', keys.rejected, 'MAXLEN', '~', ARGV[16], '*', unpack(letter)) end
  for _, answer in ipairs(answers) do pcall(redis.call, 'XADD', keys.answers, answer[1], 'a', answer[2]) end -- fails when it stands there already
  if #answers > 0 then redis.call('XTRIM', keys.answers, 'MINID', '~', max(0, clock.now - answers_kept_ms)) end
  if #writes.outbox > 0 then redis.call('XADD', keys.outbox, clock.change .. '-0', unpack(writes.outbox)) end
  if #writes.dirty > 0 then redis.call('ZADD', keys.dirty, 'NX', unpack(writes.dirty)) end
end

local function publish_all()
  for _, job in ipairs(batch.order) do
    if job.gone then
      redis.call(ARGV[3], job.key, concat({ '1g', job.epoch_now, job.rev, job.tenant, job.id }, '\t'))
    elseif job.message then
      redis.call(ARGV[3], job.key, job.message .. progress_lines(job))
    end
  end
  for _, tenant in ipairs(writes.tenants) do redis.call(ARGV[3], ARGV[2] .. tenant, concat(writes.tenant_lines[tenant], '\n')) end
end

local function write_all()
  for _, job in ipairs(batch.order) do
    if job.registered and job.fields then write_job(job) end -- the only keys a call creates: what a moving slot refuses comes first
  end
  for _, job in ipairs(batch.order) do
    if not job.registered and (job.fields or job.gone) then write_job(job) end
  end
  if #writes.agenda > 0 then redis.call('ZADD', keys.agenda, unpack(writes.agenda)) end
  write_producers()
  write_streams()
  redis.call('HSET', keys.meta, '_', meta_text())
  publish_all()
  if #batch.entries > 0 then
    redis.call('XTRIM', keys.ingest, 'MINID', '~', clock.cursor)
    pcall(redis.call, 'XGROUP', 'SETID', keys.ingest, 'headway', clock.cursor)
  end
end
