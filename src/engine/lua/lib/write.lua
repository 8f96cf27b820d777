-- The writes of one call. Texts are made first (with the last reads), then nothing is left that could fail.

-- #constant CHUNK_BYTES 4000
-- #constant PAGE_ITEMS 16

-- Events of this call as chunks of the log. Returns the number of the last chunk and what they hold.
function R.add_chunks(job, epoch, last)
  local events, fields, from, at, bytes, total = job.events, job.fields, job.seq0 + 1, 1, 0, job.logged
  local head = '1\t' .. epoch .. '\t' .. job.rev .. '\t'
  while at <= total do
    local to, size = at, #events[at]
    while to < total and size + #events[to + 1] <= CHUNK_BYTES do
      to = to + 1
      size = size + #events[to] + 1
    end
    local text = head .. from .. '\t' .. from + to - at .. '\n' .. table.concat(events, '\n', at, to)
    last, bytes = last + 1, bytes + #text
    fields[#fields + 1], fields[#fields + 2] = 'l:' .. last, text
    from, at = from + to - at + 1, to + 1
  end
  return last, bytes
end

-- The oldest chunks go when the log is over its bounds; one read for each that goes.
function R.trim_log(job, first, kept, events, bytes)
  job.drop = {}
  while first <= kept and (events > R.log_events or bytes > R.log_bytes) do
    local text = redis.call('HGET', job.key, 'l:' .. first)
    local from, to = text:match('^1\t[^\t]*\t[^\t]*\t(%d+)\t(%d+)')
    job.drop[#job.drop + 1] = 'l:' .. first
    first, events, bytes = first + 1, events - (to - from + 1), bytes - #text
  end
  return first, events, bytes
end

-- Ids in the order of first sight, 16 a page; the page that is not full is continued.
function R.add_pages(job)
  local ids, fields, at, total = job.new_items, job.fields, 1, #job.new_items
  local seen = job.seen - total
  while at <= total do
    local filled = seen % PAGE_ITEMS
    local name, to = ('o:%d'):format((seen - filled) / PAGE_ITEMS), math.min(total, at + PAGE_ITEMS - filled - 1)
    local page = table.concat(ids, '\t', at, to)
    if filled > 0 then page = redis.call('HGET', job.key, name) .. '\t' .. page end
    fields[#fields + 1], fields[#fields + 2] = name, page
    seen, at = seen + to - at + 1, to + 1
  end
end

function R.add_store(job, epoch, outbox_id)
  local store = job.h[H_STORE]
  if job.logged == 0 and not job.new_items and not outbox_id then return end
  local first, last, events, bytes, seen, outbox = store:match('^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)$')
  if job.logged > 0 then
    local kept, added = last + 0, nil
    last, added = R.add_chunks(job, epoch, kept)
    first, events, bytes = math.max(first, 1), events + job.logged, bytes + added
    if events > R.log_events or bytes > R.log_bytes then first, events, bytes = R.trim_log(job, first, kept, events, bytes) end
  end
  if job.new_items then R.add_pages(job) end
  job.h[H_STORE] = first .. ',' .. last .. ',' .. events .. ',' .. bytes .. ',' .. (job.seen or seen) .. ',' .. (outbox_id or outbox)
end

-- Only the header stays of a job that waits for the persister too long.
function R.strip(job)
  local outbox = job.h[H_STORE]:match('([^,]*)$')
  job.h[H_STORE] = '0,0,0,0,0,' .. outbox
  job.fields = { '_', '', 'r', redis.call('HGET', job.key, 'r'), 'state', job.h[H_STATE], 'control', '' }
end

function R.tenant_line(tenant, line)
  local lines = R.tenant_lines[tenant]
  if not lines then
    lines = { '1t\t' .. R.gap_ms }
    R.tenant_lines[tenant], R.tenants[#R.tenants + 1] = lines, tenant
  end
  lines[#lines + 1] = line
end

function R.prepare_job(job, outbox_id)
  local h, fields, visible = job.h, job.fields, job.rev ~= job.rev0
  local epoch = h[H_EPOCH] + 0 > R.epoch and h[H_EPOCH] or ('%.0f'):format(R.epoch)
  h[H_SEQ], h[H_REV] = job.seq0 + job.logged, job.rev
  if job.entry then h[H_LID] = job.entry.id end
  if job.updated then h[H_UPDATED] = job.updated end
  R.add_store(job, epoch, visible and outbox_id)
  if job.pace then
    h[H_PACE] = R.pace_text(job.pace)
    if #job.pace.durations > 0 then fields[#fields + 1], fields[#fields + 2] = 's', R.durations_text(job, job.pace) end
  end
  if h[H_STATE] ~= job.state0 then fields[#fields + 1], fields[#fields + 2] = 'state', h[H_STATE] end
  if job.control_changed or job.registered then fields[#fields + 1], fields[#fields + 2] = 'control', h[H_CONTROL]:match('^[^,]*') end
  if job.registered then fields[#fields + 1], fields[#fields + 2] = 'r', job.registration end
  if job.strip then R.strip(job) end
  local header = '1\t' .. table.concat(h, '\t')
  job.fields[2] = header
  if not visible then return end
  job.message = '1u\t' .. epoch .. '\t' .. job.seq0 + 1 .. '\t' .. h[H_SEQ] .. '\t' .. R.gap_ms .. '\t' .. job.tenant .. '\t' .. job.id ..
    '\n' .. header .. '\n' .. (job.registered and job.registration or '') .. (job.logged > 0 and '\n' .. table.concat(job.events, '\n') or '')
  R.tenant_line(job.tenant, 'u\t' .. job.id .. '\t' .. epoch .. '\t' .. header)
end

-- In the agenda earlier times are written at once, later ones only when the old one has come.
function R.prepare_due(job, base)
  local due = R.next_due(job.h, job)
  if not job.score or due < job.score or job.score <= base and due ~= job.score then
    R.agenda[#R.agenda + 1], R.agenda[#R.agenda + 2] = due, job.member
  end
end

function R.prepare_writes(outbox_full, base)
  R.agenda, R.dirty, R.outbox, R.tenants, R.tenant_lines = {}, {}, {}, {}, {}
  local outbox_id = R.sink and not outbox_full and ('%d'):format(R.change + 1) or nil
  for at = 1, #R.order do
    local job = R.order[at]
    if job.gone then
      job.epoch = ('%.0f'):format(math.max(job.h[H_EPOCH], R.epoch))
      R.tenant_line(job.tenant, 'g\t' .. job.id .. '\t' .. job.epoch .. '\t' .. job.rev)
    elseif job.touched then
      R.prepare_job(job, outbox_id)
      R.prepare_due(job, base)
      if job.message and outbox_id then
        R.outbox[#R.outbox + 1], R.outbox[#R.outbox + 2] = 'm', job.message
        R.bytes_in = R.bytes_in + #job.message
      elseif job.message and R.sink then
        R.dirty[#R.dirty + 1], R.dirty[#R.dirty + 2] = job.seq0 + 1, job.member
      end
    end
  end
  if #R.outbox > 0 then R.change = R.change + 1 end
end

function R.write_job(job)
  if job.gone then
    redis.call('UNLINK', job.key)
    redis.call('ZREM', KEYS[3], job.member)
    redis.call('ZREM', KEYS[4], job.tenant .. '/' .. job.h[H_EPOCH] .. '/' .. job.id)
    return
  end
  if job.strip then redis.call('UNLINK', job.key) end
  redis.call('HSET', job.key, unpack(job.fields))
  if job.drop and #job.drop > 0 then redis.call('HDEL', job.key, unpack(job.drop)) end
  if job.registered then redis.call('ZADD', KEYS[4], 0, job.tenant .. '/' .. job.h[H_EPOCH] .. '/' .. job.id) end
end

function R.write_producers()
  local fields = {}
  for at = 1, #R.producer_names do
    local name = R.producer_names[at]
    local producer = R.producers[name]
    if producer.seen then fields[#fields + 1], fields[#fields + 2] = name, ('%d'):format(producer.number) .. '\t' .. producer.seen end
  end
  if #fields > 0 then redis.call('HSET', KEYS[9], unpack(fields)) end
end

function R.write_streams()
  for at = 1, #R.dead_letters do redis.call('XADD', KEYS[8], 'MAXLEN', '~', ARGV[16], '*', unpack(R.dead_letters[at])) end
  for at = 1, #R.answers do pcall(redis.call, 'XADD', KEYS[7], R.answers[at][1], 'a', R.answers[at][2]) end -- fails when it stands there already
  if #R.answers > 0 then redis.call('XTRIM', KEYS[7], 'MINID', '~', ('%d'):format(math.max(0, R.now - 10000))) end
  if #R.outbox > 0 then redis.call('XADD', KEYS[5], ('%d-0'):format(R.change), unpack(R.outbox)) end
  if #R.dirty > 0 then redis.call('ZADD', KEYS[6], 'NX', unpack(R.dirty)) end
end

function R.publish_all()
  for at = 1, #R.order do
    local job = R.order[at]
    if job.gone then
      redis.call(ARGV[3], job.key, '1g\t' .. job.epoch .. '\t' .. job.rev .. '\t' .. job.tenant .. '\t' .. job.id)
    elseif job.message then
      local text = job.message
      if job.progress and not R.is_terminal(job.h[H_STATE]) then -- nothing follows a final event
        for _, line in pairs(job.progress) do text = text .. '\n' .. line end
      end
      redis.call(ARGV[3], job.key, text)
    end
  end
  for at = 1, #R.tenants do redis.call(ARGV[3], ARGV[2] .. R.tenants[at], table.concat(R.tenant_lines[R.tenants[at]], '\n')) end
end

function R.write_all()
  local jobs = R.order
  for at = 1, #jobs do
    if jobs[at].registered and jobs[at].touched then R.write_job(jobs[at]) end -- the only keys a call creates: what a moving slot refuses comes first
  end
  for at = 1, #jobs do
    if not jobs[at].registered and jobs[at].touched then R.write_job(jobs[at]) end
  end
  if #R.agenda > 0 then redis.call('ZADD', KEYS[3], unpack(R.agenda)) end
  if #R.producer_names > 0 then R.write_producers() end
  R.write_streams()
  redis.call('HSET', KEYS[2], '_', table.concat({
    '1', R.cursor, ('%d'):format(R.gap_ms), ('%d'):format(R.gap_end), ('%d'):format(R.now), ('%d'):format(R.change),
    ('%.0f'):format(R.last_epoch), ('%d'):format(R.bytes_in), ('%d'):format(R.waiting)
  }, '\t'))
  R.publish_all()
  if #R.entries > 0 then
    redis.call('XTRIM', KEYS[1], 'MINID', '~', R.cursor)
    pcall(redis.call, 'XGROUP', 'SETID', KEYS[1], 'headway', R.cursor)
  end
end
