-- Registration: a job comes into being, or is the same one again.

local function flag(text, name)
  if text == '' or text == '0' then return false end
  if text == '1' then return true end
  R.refuse('invalid_field', name .. ' must be 1 or 0')
end

local function registration_text(event, total)
  local flags = (flag(event.auto_complete, 'auto_complete') and 'A' or '') .. (flag(event.fail_on_deadline, 'fail_on_deadline') and 'F' or '')
  local item_kind = event.item_kind == '' and 'video' or event.item_kind
  if #item_kind > 32 or not item_kind:find('^%l[%l%d_]*$') or item_kind == 'job' then
    R.refuse('invalid_field', 'item_kind ' .. R.cut(item_kind, 64) .. ' does not match ^[a-z][a-z0-9_]{0,31}$, or is job')
  end
  R.whole(event.concurrency, 'concurrency')
  return table.concat({ '1', total, event.job_kind, item_kind, event.concurrency, event.deadline, flags, event.title, event.metadata }, '\t')
end

-- CRC16/XMODEM, bit by bit: only a registration asks, once a job.
local function crc16(text)
  local crc = 0
  for at = 1, #text do
    crc = bit.bxor(crc, text:byte(at) * 256)
    for _ = 1, 8 do crc = bit.band(bit.bxor(crc * 2, crc >= 32768 and 0x1021 or 0), 0xFFFF) end
  end
  return crc
end

local function create_job(job, event, text, total, initial)
  R.last_epoch = math.max(R.now, R.last_epoch + 1)
  local running = event.state == 'running'
  local limited = event.rate_limited == '1'
  job[J_REGISTRATION], job[J_REGISTERED], job[J_CHANGED], job[J_SEEN] = text, true, true, 0
  job[J_H] = {
    '0-0', ('%.0f'):format(R.last_epoch), 0, 0, running and 'running' or 'pending',
    (limited and 'R' or '') .. (event.auto_complete == '1' and 'A' or '') .. (event.fail_on_deadline == '1' and 'F' or ''),
    limited and R.base + 60000 or '', total, 0, 0, 0, 0, 0, 0, 0, 0, '', initial, event.created ~= '' and event.created or R.ms,
    running and R.ms or '', 0, running and R.base_text or '', R.base_text, R.ms, R.base_text, '', '', event.deadline, '',
    '0,0,0,0,0,0', ''
  }
end

local function reduce_register(job, event, slot)
  local h, total = job[J_H], R.whole(event.total, 'items_total') or 0
  R.whole(event.deadline, 'processing_deadline_ms')
  R.whole(event.created, 'created_at')
  flag(event.rate_limited, 'rate_limited')
  if event.state ~= '' and event.state ~= 'pending' and event.state ~= 'running' then
    R.refuse('invalid_field', 'a job is registered as pending or running, not ' .. R.cut(event.state, 64))
  end
  local initial, given = {}, 0
  for n, name in ipairs(COUNTERS) do
    initial[n] = R.whole(event[name], 'items_' .. name) or 0
    given = given + initial[n]
  end
  local text = registration_text(event, total)
  if h then
    if R.is_terminal(h[H_STATE]) then R.refuse('job_finished', 'job ' .. job[J_ID] .. ' is ' .. h[H_STATE] .. ' and still in Redis', h[H_STATE]) end
    local stored = job[J_REGISTRATION] or job[J_VALUES][slot]
    if stored ~= text then R.refuse('job_exists', 'job ' .. job[J_ID] .. ' is registered with other values', h[H_STATE]) end
    R.sign_of_life(job, event.cid)
    return 'repeat'
  end
  local partition = crc16(job[J_MEMBER]) % PARTITIONS
  if partition ~= PARTITION then R.refuse('wrong_partition', job[J_MEMBER] .. ' belongs to partition ' .. partition) end
  create_job(job, event, text, total, given > 0 and table.concat(initial, ',') or '')
  return 'applied'
end
