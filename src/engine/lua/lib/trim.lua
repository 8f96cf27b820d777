-- Writes that few calls make: what goes from a job.

-- The oldest chunks go when the log is over its bounds; one read for each that goes.
function R.trim_log(job, first, kept, events, bytes)
  job[J_DROP] = {}
  while first <= kept and (events > LOG_EVENTS or bytes > LOG_BYTES) do
    local text = redis.call('HGET', job[J_KEY], 'l:' .. first)
    local from, to = text:match('^1\t[^\t]*\t[^\t]*\t(%d+)\t(%d+)')
    job[J_DROP][#job[J_DROP] + 1] = 'l:' .. first
    first, events, bytes = first + 1, events - (to - from + 1), bytes - #text
  end
  return first, events, bytes
end

-- Only the header stays of a job that waits for the persister too long. Returns its fields.
function R.strip(job)
  local outbox = job[J_H][H_STORE]:match('([^,]*)$')
  job[J_H][H_STORE] = '0,0,0,0,0,' .. outbox
  return { '_', '', 'r', redis.call('HGET', job[J_KEY], 'r'), 'state', job[J_H][H_STATE], 'control', '' }
end
