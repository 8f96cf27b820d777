-- Entries in their order against the jobs in memory. Nothing is written here.

local counts = { applied = 0, repeated = 0, ignored = 0, rejected = 0, gaps = 0, timers = 0 }
local EFFECTS = { applied = 'applied', ['repeat'] = 'repeated', ignored = 'ignored' }
local dead_letters, answers = {}, {}

local WIRE_TYPES = {
  item = 'item.update', register = 'job.register', state = 'job.state', progress = 'job.progress', heartbeat = 'job.heartbeat',
  control = 'job.control'
}

local function dead_letter(entry, index, event)
  counts.rejected = counts.rejected + 1
  local refused, fields = event.refused, event.fields or {}
  dead_letters[#dead_letters + 1] = {
    'entry', entry.id, 'index', index - 1, 'code', refused.code, 'detail', refused.detail,
    'type', WIRE_TYPES[event.type] or cut(fields.type or '', 64), 'tenant', cut(event.tenant or fields.tenant or '', 128),
    'job', cut(event.job or fields.job or '', 128), 'data', (cut(event.data, limits.event_bytes))
  }
end

-- Whether the entry of a producer is its next one. nil: a repeat or a gap, counted here.
local function next_of_producer(entry)
  local producer = batch.producers[entry.producer]
  if entry.number <= producer.number then
    producer.seen = clock.last_entry_base
    counts.repeated = counts.repeated + #entry.events
    return 'ok\trepeat\t\t\t'
  end
  if entry.number ~= producer.number + 1 then
    counts.gaps = counts.gaps + 1
    return 'no\tproducer_gap\tnumber ' .. entry.number .. ' came after ' .. producer.number .. '\t\t'
  end
  producer.number, producer.seen = entry.number, clock.last_entry_base
end

local function id_not_after(a, b)
  local a_ms, a_n = match(a, '^(%d+)-(%d+)$')
  local b_ms, b_n = match(b, '^(%d+)-(%d+)$')
  a_ms, b_ms = a_ms + 0, b_ms + 0
  if a_ms ~= b_ms then return a_ms < b_ms end
  return a_n + 0 <= b_n + 0
end

local function apply_event(entry, index, event, when)
  if not event.refused then
    local job = event.target
    if job.known and job.applied ~= entry.id and id_not_after(entry.id, job.lid) then
      counts.repeated = counts.repeated + 1
      return 'ok\trepeat\t' .. job.state .. '\t' .. job.rev .. '\t'
    end
    job.changed = false
    local ok, effect = pcall(reduce, job, event, when, entry)
    if ok then
      job.lid, job.applied, job.touched = entry.id, entry.id, true
      complete_if_settled(job, when, event.cid)
      if job.changed then
        job.rev, job.updated = job.rev + 1, when.ms
        if effect ~= 'applied' then effect = 'applied' end
      end
      counts[EFFECTS[effect]] = counts[EFFECTS[effect]] + 1
      return 'ok\t' .. effect .. '\t' .. job.state .. '\t' .. job.rev .. '\t' .. match(job.control, '^[^,]*')
    end
    event.refused = type(effect) == 'table' and effect or { code = 'internal', detail = tostring(effect), state = '', allowed = '' }
  end
  dead_letter(entry, index, event)
  local refused = event.refused
  return 'no\t' .. refused.code .. '\t' .. escape(refused.detail) .. '\t' .. (refused.state or '') .. '\t' .. (refused.allowed or '')
end

local function apply_entries()
  for _, entry in ipairs(batch.entries) do
    local when = { ms = entry.ms, base = max(entry.ms + 0, clock.gap_end) - clock.gap_ms }
    local lines = entry.producer and next_of_producer(entry)
    if not lines then
      lines = {}
      for index, event in ipairs(entry.events) do lines[index] = apply_event(entry, index, event, when) end
      lines = entry.re and concat(lines, '\n')
    end
    if entry.re then answers[#answers + 1] = { entry.id, lines } end
  end
end

local function fire_timers(when)
  for _, job in ipairs(batch.order) do
    if job.known and (job.touched or job.score and job.score <= when.base) then
      local fired = fire_due(job, when)
      counts.timers = counts.timers + fired
      job.looked_at = true
    end
  end
end
