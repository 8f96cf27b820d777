-- Entries in their order against the jobs in memory. Nothing is written here.

function R.dead_letter(entry, n, refusal)
  local fields = kinds[n] == 'refused' and targets[n] or {}
  local job = kinds[n] ~= 'refused' and targets[n] or {}
  R.rejected = R.rejected + 1
  R.dead_letters[#R.dead_letters + 1] = {
    'entry', entry.id, 'index', n - entry.first, 'code', refusal.code, 'detail', refusal.detail,
    'type', (kinds[n] == 'item' or kinds[n] == 'short') and 'item.update' or kinds[n] ~= 'refused' and 'job.' .. kinds[n] or R.cut(fields.type or '', 64),
    'tenant', job.tenant or R.cut(fields.tenant or '', 128), 'job', job.id or R.cut(fields.job or '', 128),
    'data', (R.cut(lines[n], 16384))
  }
  return 'no\t' .. refusal.code .. '\t' .. R.escape(refusal.detail) .. '\t' .. (refusal.state or '') .. '\t' .. (refusal.allowed or '')
end

-- Text of a producer's answer when its entry is not its next one: a repeat or a gap.
function R.not_next(entry)
  local producer = R.producers[entry.producer]
  if producer.known and entry.number <= producer.number then
    producer.seen = R.base_text
    R.repeated = R.repeated + entry.last - entry.first + 1
    return 'ok\trepeat\t\t\t'
  end
  if entry.number ~= producer.number + 1 then
    R.gaps = R.gaps + 1
    return 'no\tproducer_gap\tnumber ' .. entry.number .. ' came after ' .. producer.number .. '\t\t'
  end
  producer.number, producer.seen, producer.known = entry.number, R.base_text, true
end

function R.is_after(a, b)
  if #a == #b and a:byte(-2) == 45 and b:byte(-2) == 45 then return a > b end -- 45: one digit behind the dash
  local a_ms, a_n = a:match('^(%d+)-(%d+)$')
  local b_ms, b_n = b:match('^(%d+)-(%d+)$')
  if a_ms ~= b_ms then return a_ms + 0 > b_ms + 0 end
  return a_n + 0 > b_n + 0
end

-- One event. Returns applied, repeat or ignored; refuses by an error.
function R.reduce(n, entry)
  local kind, job, event = kinds[n], targets[n], events[n]
  if kind == 'refused' then error(event, 0) end
  local h, effect = job.h, nil
  if h and job.entry ~= entry and not R.is_after(entry.id, h[H_LID]) then return 'repeat' end
  if kind == 'short' then
    if not h then R.refuse('unknown_job', 'job ' .. job.id .. ' is not registered') end
    effect = R.reduce_short(job, names[n], event, tails[n])
  elseif kind == 'item' then
    if not h then R.refuse('unknown_job', 'job ' .. job.id .. ' is not registered') end
    effect = R.reduce_item(job, names[n], event)
  else
    R.job_events = R.job_events or job_events()
    effect = R.job_events(kind, job, event)
    h = job.h
  end
  job.entry = entry
  if h[H_FLAGS] ~= '' and R.has_flag(h, 'A') then R.complete_if_settled(job, kind == 'short' and '' or kind == 'item' and event[E_CID] or event.cid) end
  if not job.changed then return effect end
  job.changed, job.rev, job.updated = false, job.rev + 1, R.ms
  return 'applied'
end

-- From event R.at to the entry's last, until one is refused: pcall costs, so it stands around many.
function R.reduce_entry(entry)
  for n = R.at, entry.last do
    R.at = n
    local effect = R.reduce(n, entry)
    if effect == 'applied' then R.applied = R.applied + 1
    elseif effect == 'repeat' then R.repeated = R.repeated + 1
    else R.ignored = R.ignored + 1 end
    if entry.re then
      local job = targets[n]
      R.texts[#R.texts + 1] = 'ok\t' .. effect .. '\t' .. job.h[H_STATE] .. '\t' .. job.rev .. '\t' .. job.h[H_CONTROL]:match('^[^,]*')
    end
  end
end

function R.reduce_all()
  while R.nth <= #R.entries do
    local entry = R.entries[R.nth]
    if R.entry ~= entry then
      R.entry, R.at, R.texts = entry, entry.first, {}
      R.set_time(entry.ms)
      local skipped = entry.producer and R.not_next(entry)
      if skipped then R.at, R.texts[1] = entry.last + 1, skipped end
    end
    R.reduce_entry(entry)
    if entry.re then R.answers[#R.answers + 1] = { entry.id, table.concat(R.texts, '\n') } end
    R.nth = R.nth + 1
  end
end

function R.apply_entries()
  R.nth = 1
  while R.nth <= #R.entries do
    local ok, refusal = pcall(R.reduce_all)
    if not ok then
      if type(refusal) ~= 'table' then refusal = { code = 'internal', detail = tostring(refusal) } end
      local job = targets[R.at]
      if job then job.changed = false end
      R.texts[#R.texts + 1] = R.dead_letter(R.entry, R.at, refusal)
      R.at = R.at + 1
    end
  end
end

-- Timers of the jobs that were touched, and of those whose time had come when the call began.
function R.fire_timers(base)
  for at = 1, #R.order do
    local job = R.order[at]
    if job.h and (job.entry or job.score and job.score <= base) then
      job.touched = true
      while not job.gone and R.next_due(job.h, job) <= base do
        R.fire = R.fire or timers()
        R.fire(job)
        if job.changed then job.changed, job.rev, job.updated = false, job.rev + 1, R.ms end
        R.timers = R.timers + 1
      end
    end
  end
end
