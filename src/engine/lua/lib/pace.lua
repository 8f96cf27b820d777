-- What estimates are made from: decayed mean duration of an attempt, decayed mean interval between settled items.
-- Both are exponential moving averages (R. G. Brown, 1956) with the bias of their start divided out on reading.
-- Decay 0.95 an item, at most 100 durations: 0.95^100 = 0.0059205292203340.


-- Read once a call, and written once (pace_text).
function R.read_pace(job)
  local samples, sum, mean, weight, last = 0, 0, 0, 0, ''
  if job.h[H_PACE] ~= '' then samples, sum, mean, weight, last = job.h[H_PACE]:match('^([^,]*),([^,]*),([^,]*),([^,]*),([^,]*)$') end
  job.pace = { samples = samples + 0, sum = sum + 0, mean = mean + 0, weight = weight + 0, last = tonumber(last), durations = {} }
  return job.pace
end

-- The nth duration from the oldest: of those stored before this call, then of this call's own.
function R.oldest_duration(job, pace)
  if not pace.stored then
    pace.stored, pace.dropped = {}, 0
    for one in job.durations:gmatch('[^,]+') do pace.stored[#pace.stored + 1] = one end
  end
  pace.dropped = pace.dropped + 1
  return pace.stored[pace.dropped] or pace.durations[pace.dropped - #pace.stored]
end

-- A finished attempt of known duration (nil: unknown), and how many items one event settled.
function R.keep_pace(job, duration, count)
  local pace = job.pace or R.read_pace(job)
  if duration then
    local oldest = 0
    if pace.samples == 100 then oldest = R.oldest_duration(job, pace) else pace.samples = pace.samples + 1 end
    pace.sum = pace.sum * 0.95 + duration - oldest * 0.0059205292203340
    pace.durations[#pace.durations + 1] = duration
  end
  if count > 0 then
    local factor, at = count == 1 and 0.95 or 0.95 ^ count, R.processing_time(job.h)
    pace.mean = pace.mean * factor + (at - (pace.last or 0)) / count * (1 - factor)
    pace.weight = pace.weight * factor + (1 - factor)
    pace.last = at
  end
end

function R.pace_text(pace)
  return ('%d'):format(pace.samples) .. ',' .. pace.sum .. ',' .. pace.mean .. ',' .. pace.weight .. ',' .. (pace.last or '')
end

-- The last 100 durations after this call.
function R.durations_text(job, pace)
  local added = table.concat(pace.durations, ',', math.max(1, #pace.durations - 99))
  local kept = pace.samples - math.min(100, #pace.durations)
  if kept <= 0 then return added end
  if not pace.stored then return job.durations .. ',' .. added end
  return table.concat(pace.stored, ',', #pace.stored - kept + 1) .. ',' .. added
end
