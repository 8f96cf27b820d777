-- What a call is to write, with the last reads. Nothing is written here.

-- #constant CHUNK_BYTES 4000
-- #constant PAGE_ITEMS 16

local gap_text, tenants, tenant_lines, agenda, dirty, outbox = ('%d'):format(R.gap_ms), {}, {}, {}, {}, {}

-- Events of this call as chunks of the log. Returns the number of the last chunk, what they hold, and all events as one text.
local function add_chunks(job, fields, head, last, seq)
  local events, total = job[J_EVENTS], job[J_LOGGED]
  local first, at, bytes, all = job[J_SEQ_BEFORE], 1, 0, nil
  while at <= total do
    local to, size = at, #events[at]
    while to < total and size + #events[to + 1] <= CHUNK_BYTES do
      to = to + 1
      size = size + #events[to] + 1
    end
    local lines = to == at and events[at] or table.concat(events, '\n', at, to)
    local text = head .. (total == 1 and seq .. '\t' .. seq .. '\n' or ('%d\t%d\n'):format(first + at, first + to)) .. lines
    last, bytes, all = last + 1, bytes + #text, all and all .. '\n' .. lines or lines
    fields[#fields + 1], fields[#fields + 2] = ('l:%d'):format(last), text
    at = to + 1
  end
  return last, bytes, all
end

-- Ids in the order of first sight, 16 a page; the page that is not full is continued.
local function add_pages(job, fields)
  local ids, at, total = job[J_NEW_ITEMS], 1, #job[J_NEW_ITEMS]
  local seen = job[J_SEEN] - total
  while at <= total do
    local filled = seen % PAGE_ITEMS
    local name, to = ('o:%d'):format((seen - filled) / PAGE_ITEMS), math.min(total, at + PAGE_ITEMS - filled - 1)
    local page = table.concat(ids, '\t', at, to)
    if filled > 0 then page = redis.call('HGET', job[J_KEY], name) .. '\t' .. page end
    fields[#fields + 1], fields[#fields + 2] = name, page
    seen, at = seen + to - at + 1, to + 1
  end
end

-- Log and pages. Returns the logged events as one text, nil when there are none.
local function add_store(job, fields, epoch, rev, outbox_id)
  local logged, new_items, all = job[J_LOGGED], job[J_NEW_ITEMS], nil
  if logged == 0 and not new_items and not outbox_id then return nil end
  local first, last, events, bytes, seen, outbox = job[J_H][H_STORE]:match('^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)$')
  if logged > 0 then
    local kept, added = last + 0, nil
    last, added, all = add_chunks(job, fields, '1\t' .. epoch .. '\t' .. rev .. '\t', kept, job[J_H][H_SEQ])
    if first == '0' then first = '1' end
    events, bytes = events + logged, bytes + added
    if events > LOG_EVENTS or bytes > LOG_BYTES then first, events, bytes = R.trim_log(job, first + 0, kept, events, bytes) end
  end
  if new_items then add_pages(job, fields) end
  job[J_H][H_STORE] = ('%s,%d,%d,%d,%d,%s'):format(first, last, events, bytes, job[J_SEEN] or seen, outbox_id or outbox)
  return all
end

local function tenant_line(tenant, line)
  local lines = tenant_lines[tenant]
  if not lines then
    lines = { '1t\t' .. gap_text }
    tenant_lines[tenant], tenants[#tenants + 1] = lines, tenant
  end
  lines[#lines + 1] = line
end

local function pace_text(pace)
  local last = pace[P_LAST]
  if not last then return ('%d,%.14g,%.14g,%.14g,'):format(pace[P_SAMPLES], pace[P_SUM], pace[P_MEAN], pace[P_WEIGHT]) end
  return ('%d,%.14g,%.14g,%.14g,%d'):format(pace[P_SAMPLES], pace[P_SUM], pace[P_MEAN], pace[P_WEIGHT], last)
end

-- The last 100 durations after this call.
local function durations_text(job, pace)
  local count = pace[P_COUNT]
  local added = count == 1 and pace[P_DURATIONS][1] or table.concat(pace[P_DURATIONS], ',', math.max(1, count - 99))
  local kept = pace[P_SAMPLES] - math.min(100, count)
  if kept <= 0 then return added end
  if not pace[P_STORED] then return (pace[P_REST] and job[J_VALUES][2]:sub(pace[P_REST]) or job[J_VALUES][2]) .. ',' .. added end
  return table.concat(pace[P_STORED], ',', #pace[P_STORED] - kept + 1) .. ',' .. added
end

local function prepare_job(job, outbox_id)
  local h, visible, logged, now, wanted = job[J_H], job[J_REV] ~= job[J_REV_BEFORE], job[J_LOGGED], job[J_NOW], job[J_WANTED]
  local fields, width = { '_', '', nil, nil, nil, nil, nil, nil }, 2
  for n = 1, job[J_WIDTH] - 2 do
    if now[n] then
      width = width + 2
      fields[width - 1], fields[width] = wanted[n + 2], now[n]
    end
  end
  local epoch, rev = h[H_EPOCH] + 0 > R.epoch and h[H_EPOCH] or ('%.0f'):format(R.epoch), h[H_REV]
  if visible then
    rev = ('%d'):format(job[J_REV])
    h[H_REV] = rev
  end
  if logged > 0 then h[H_SEQ] = ('%d'):format(job[J_SEQ_BEFORE] + logged) end
  if job[J_ENTRY] then h[H_LID] = job[J_ENTRY][N_ID] end
  if job[J_UPDATED] then h[H_UPDATED] = job[J_UPDATED] end
  local lines = add_store(job, fields, epoch, rev, visible and outbox_id)
  local pace = job[J_PACE]
  if pace then
    h[H_PACE] = pace_text(pace)
    if pace[P_COUNT] > 0 then fields[#fields + 1], fields[#fields + 2] = 's', durations_text(job, pace) end
  end
  if h[H_STATE] ~= job[J_STATE_BEFORE] then fields[#fields + 1], fields[#fields + 2] = 'state', h[H_STATE] end
  if job[J_CONTROL_CHANGED] or job[J_REGISTERED] then fields[#fields + 1], fields[#fields + 2] = 'control', h[H_CONTROL]:match('^[^,]*') end
  if job[J_REGISTERED] then fields[#fields + 1], fields[#fields + 2] = 'r', job[J_REGISTRATION] end
  if job[J_STRIP] then fields = R.strip(job) end
  local header = '1\t' .. table.concat(h, '\t')
  fields[2], job[J_FIELDS] = header, fields
  if not visible then return end
  local seq_from = logged == 1 and h[H_SEQ] or ('%d'):format(job[J_SEQ_BEFORE] + 1)
  job[J_MESSAGE] = '1u\t' .. epoch .. '\t' .. seq_from .. '\t' .. h[H_SEQ] .. '\t' .. gap_text .. '\t' .. job[J_TENANT] .. '\t' .. job[J_ID] ..
    '\n' .. header .. '\n' .. (job[J_REGISTRATION] or '') .. (lines and '\n' .. lines or '')
  tenant_line(job[J_TENANT], 'u\t' .. job[J_ID] .. '\t' .. epoch .. '\t' .. header)
end

local outbox_id = sink and not outbox_full and ('%d'):format(R.change + 1) or nil
for at = 1, #R.order do
  local job = R.order[at]
  if job[J_GONE] then
    job[J_EPOCH] = ('%.0f'):format(math.max(job[J_H][H_EPOCH], R.epoch))
    tenant_line(job[J_TENANT], 'g\t' .. job[J_ID] .. '\t' .. job[J_EPOCH] .. '\t' .. job[J_REV])
  elseif job[J_TOUCHED] then
    prepare_job(job, outbox_id)
    -- In the agenda earlier times are written at once, later ones only when the old one has come.
    local due, score, message = job[J_DUE], job[J_SCORE], job[J_MESSAGE]
    if not score or due < score or score <= end_base and due ~= score then
      agenda[#agenda + 1], agenda[#agenda + 2] = due, job[J_MEMBER]
    end
    if message and outbox_id then
      outbox[#outbox + 1], outbox[#outbox + 2] = 'm', message
      R.bytes_in = R.bytes_in + #message
    elseif message and sink then
      dirty[#dirty + 1], dirty[#dirty + 2] = job[J_SEQ_BEFORE] + 1, job[J_MEMBER]
    end
  end
end
if #outbox > 0 then R.change = R.change + 1 end
