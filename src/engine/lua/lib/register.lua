-- Registration: a job comes into being, or is the same one again.

local function flag(text, name)
  if text == '' or text == '0' then return false end
  if text == '1' then return true end
  refuse('invalid_field', name .. ' must be 1 or 0')
end

local function registration_text(event, total)
  local flags = (flag(event.auto_complete, 'auto_complete') and 'A' or '') .. (flag(event.fail_on_deadline, 'fail_on_deadline') and 'F' or '')
  local item_kind = event.item_kind == '' and 'video' or event.item_kind
  if #item_kind > 32 or not find(item_kind, '^%l[%l%d_]*$') or item_kind == 'job' then
    refuse('invalid_field', 'item_kind ' .. cut(item_kind, 64) .. ' does not match ^[a-z][a-z0-9_]{0,31}$, or is job')
  end
  whole(event.concurrency, 'concurrency')
  return concat({ '1', total, event.job_kind, item_kind, event.concurrency, event.deadline, flags, event.title, event.metadata }, '\t')
end

-- CRC16/XMODEM, bit by bit: only a registration asks, once a job.
local function crc16(text)
  local crc = 0
  for at = 1, #text do
    crc = bit.bxor(crc, byte(text, at) * 256)
    for _ = 1, 8 do
      crc = bit.band(bit.bxor(crc * 2, crc >= 32768 and 0x1021 or 0), 0xFFFF)
    end
  end
  return crc
end

local function create_job(job, event, when, text, total, initial)
  local now_epoch = max(clock.now, clock.last_epoch + 1)
  clock.last_epoch = now_epoch
  local running = event.state == 'running'
  job.known, job.registered, job.registration = true, true, text
  job.lid, job.epoch, job.seq, job.rev, job.state = '0-0', string.format('%.0f', now_epoch), 0, 0, running and 'running' or 'pending'
  job.seq0, job.rev0, job.state0, job.changed = 0, 0, '', true
  job.rate_limited, job.stalled, job.heartbeat, job.exceeded, job.waits, job.stripped = false, false, false, false, false, false
  job.auto_complete, job.fail_on_deadline = event.auto_complete == '1', event.fail_on_deadline == '1'
  job.total, job.completed, job.failed, job.retryable, job.skipped, job.canceled = total, 0, 0, 0, 0, 0
  job.processing, job.pending, job.partial, job.initial = 0, 0, 0, initial
  job.created = event.created ~= '' and event.created or when.ms
  job.started, job.proc_ms, job.proc_since = running and when.ms or '', 0, running and when.base or nil
  job.life, job.updated, job.state_since = when.base, when.ms, when.base
  job.control, job.deadline, job.pace, job.store, job.reason = '', tonumber(event.deadline), '', '0,0,0,0,0,0', ''
  if event.rate_limited == '1' then job.rate_limited, job.retry_at = true, when.base + 60000 end
end

local function reduce_register(job, event, when)
  local total = whole(event.total, 'items_total') or 0
  whole(event.deadline, 'processing_deadline_ms')
  whole(event.created, 'created_at')
  flag(event.rate_limited, 'rate_limited')
  local initial = {
    completed = whole(event.completed, 'items_completed') or 0, failed = whole(event.failed, 'items_failed') or 0,
    skipped = whole(event.skipped, 'items_skipped') or 0, canceled = whole(event.canceled, 'items_canceled') or 0
  }
  local text = registration_text(event, total)
  if job.known then
    if is_terminal(job.state) then refuse('job_finished', 'job ' .. job.id .. ' is ' .. job.state .. ' and still in Redis', job.state) end
    if job.registration ~= text then refuse('job_exists', 'job ' .. job.id .. ' is registered with other values', job.state) end
    sign_of_life(job, when, event.cid)
    return 'repeat'
  end
  if event.state ~= '' and event.state ~= 'pending' and event.state ~= 'running' then
    refuse('invalid_field', 'a job is registered as pending or running, not ' .. cut(event.state, 64))
  end
  if crc16(job.member) % limits.partitions ~= limits.partition then
    refuse('wrong_partition', job.member .. ' belongs to partition ' .. crc16(job.member) % limits.partitions)
  end
  if initial.completed + initial.failed + initial.skipped + initial.canceled == 0 then initial = nil end
  create_job(job, event, when, text, total, initial)
  return 'applied'
end
