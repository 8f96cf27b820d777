-- Reading entries behind the cursor. None of it stands under pcall: an error of Redis (a slot on the move) must end the
-- call unwritten.

-- #constant EVENT_BYTES 16384
-- #constant ENTRY_BYTES 65536
-- The most frequent line: no correlation id, no numbers, item and tail in order. Its event is a plain state and tail.
-- #constant SHORT_LINE '^i\t(%C*)\t(%C*)\t\t(%w[%w._:-]*)\t(%l*)\t\t\t\t\t\t\t\t(%d*\t%d*\t%C*\t%C*\t%C*\t%C*\t%C*)()'

function R.is_id(text)
  return #text <= 128 and text:find('^%w[%w._:-]*$') ~= nil
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

-- The place of a field among those that are wanted of a job.
function R.slot_of(job, name)
  local wanted, width, slots = job[J_WANTED], job[J_WIDTH], job[J_SLOTS]
  if wanted[width] == name then return width end -- most often it is the one before
  if slots then
    if slots[name] then return slots[name] end
  elseif width > 2 then
    slots = { [wanted[3]] = 3 }
    job[J_SLOTS] = slots
  end
  width = width + 1
  if slots then slots[name] = width end
  wanted[width], job[J_WIDTH] = name, width
  return width
end

-- The lines of a batch. Of a short one the text stays where it is: `lines` holds its place.
function R.add_batch(text, first)
  local at, job, size = 3, nil, #text
  while at do
    if R.count - first >= 63 then return R.too_many_lines(text, first) end
    local tenant, id, item, state, tail, stop = text:match(SHORT_LINE, at)
    local of = nil
    if tenant and (stop > size or text:byte(stop) == 10) and stop - at <= EVENT_BYTES and #item <= 128 then
      if tenant == '' and id == '' and job then of = job else of = R.job_of(tenant, id) end
    end
    if of then
      local n = R.count + 1
      R.count, targets[n], slots[n], events[n], items[n], tails[n], lines[n] = n, of, R.slot_of(of, 'i:' .. item), state, item, tail, at
      job, at = of, stop <= size and stop + 1
    else
      stop = text:find('\n', at, true)
      job, at = R.add_line(text:sub(at, (stop or 0) - 1), job), stop and stop + 1
    end
  end
end

-- What is known of a producer: its number is read with the jobs.
function R.producer_of(name, number)
  local producer = R.producers[name]
  if not producer and not R.is_id(name) or not number or #number > 14 or not number:find('^%d+$') then return nil end
  if not producer then
    producer = { number = 0, seen = false, known = false }
    R.producer_names = R.producer_names or {}
    R.producers[name], R.producer_names[#R.producer_names + 1] = producer, name
  end
  return producer
end

-- One entry of the stream. Returns its size, or nil for one of a newer format, which must wait for a newer build.
-- #columns N ID MS FIRST LAST RE PRODUCER NUMBER BATCH BYTES
function R.add_entry(id, list)
  local bytes, batch, name, number, re = 0, nil, nil, nil, nil
  if #list == 6 and list[1] == 'b' and list[3] == 'p' and list[5] == 'n' then
    batch, name, number = list[2], list[4], list[6]
    bytes = #batch + #name + #number + 3
  else
    for at = 1, #list, 2 do
      local field, value = list[at], list[at + 1]
      bytes = bytes + #field + #value
      if field == 'b' then batch = value
      elseif field == 'p' then name = value
      elseif field == 'n' then number = value
      elseif field == 're' then re = value end
    end
  end
  local first = R.count + 1
  local entry = { id, id:match('^%d+'), first, 0, false, false, 0, batch, bytes }
  local packed = batch and batch:find('1\n', 1, true) == 1
  if batch and not packed and batch:find('^[1-9]%d*\n') then return nil end
  local producer = (name or number) and R.producer_of(name or '', number)
  if producer then entry[N_PRODUCER], entry[N_NUMBER] = producer, number + 0 end
  if (name or number) and not producer then
    R.add_refused('malformed_entry', 'p must be an identifier and n a whole number', batch or '')
  elseif re and not R.is_id(re) then
    R.add_refused('malformed_entry', 're does not match the pattern of identifiers', batch or '')
  elseif bytes > ENTRY_BYTES + 512 then
    R.add_refused('entry_too_large', bytes .. ' bytes, at most ' .. ENTRY_BYTES, batch or '')
  elseif packed then
    R.add_batch(batch, first)
  elseif batch then
    R.add_refused('malformed_entry', 'a batch begins with its format number', batch)
  else
    R.add_flat(list)
  end
  if re and R.is_id(re) then entry[N_RE] = re end
  entry[N_LAST] = R.count
  R.entries[#R.entries + 1] = entry
  R.cursor = id
  return bytes
end

-- In steps that follow the size of the last entry, so that 16 large entries do not come at once.
function R.read_entries(events_max, jobs_max)
  local step, bytes = math.min(16, events_max), 0
  -- Most often one has come. From the end it is found at once; from the cursor Redis walks over what is not trimmed yet.
  local found = redis.call('XREVRANGE', KEYS[1], '+', '(' .. R.cursor, 'COUNT', 2)
  local all = #found < 2
  if not all then found = nil end
  while true do
    found = found or redis.call('XRANGE', KEYS[1], '(' .. R.cursor, '+', 'COUNT', step)
    for at = 1, #found do
      local size = R.add_entry(found[at][1], found[at][2])
      if not size then return 'newer_format' end
      bytes = bytes + size
      if R.count >= events_max or #R.order >= jobs_max or bytes >= 32768 then
        R.more = at < #found or not all and #found == step
        return 'ok'
      end
    end
    if all or #found < step then return 'ok' end
    found = nil
    step = math.max(1, math.min(events_max - R.count, math.floor((32768 - bytes) / math.max(64, R.entries[#R.entries][N_BYTES])) + 1))
  end
end
