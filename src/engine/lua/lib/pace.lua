-- What estimates are made from: decayed mean duration of an attempt, decayed mean interval between settled items.
-- Both are exponential moving averages (R. G. Brown, 1956) with the bias of their start divided out on reading.
-- Decay 0.95 an item, at most 100 durations: 0.95^100 = 0.0059205292203340.
-- #columns P SAMPLES SUM MEAN WEIGHT LAST BASE DURATIONS COUNT STORED DROPPED REST
-- BASE: the time LAST was found at. DURATIONS: texts of this call's own, COUNT of them. Of the stored ones so many were DROPPED; as long
-- as that is one, they stay text, and REST is the place behind it.

-- Read once a call, and written once (pace_text).
function R.read_pace(job)
  local samples, sum, mean, weight, last = 0, 0, 0, 0, ''
  if job[J_H][H_PACE] ~= '' then samples, sum, mean, weight, last = job[J_H][H_PACE]:match('^([^,]*),([^,]*),([^,]*),([^,]*),([^,]*)$') end
  local pace = { samples + 0, sum + 0, mean + 0, weight + 0, last ~= '' and last + 0, false, {}, 0, false, 0, false }
  job[J_PACE] = pace
  return pace
end

function R.processing_time(h)
  local since = h[H_PROC_SINCE]
  if since == '' then return h[H_PROC_MS] + 0 end
  return h[H_PROC_MS] + math.max(0, R.base - since)
end

-- The oldest duration that is left: of those stored before this call, then of this call's own.
function R.oldest_duration(job, pace)
  local dropped, text = pace[P_DROPPED] + 1, job[J_VALUES][2] or ''
  pace[P_DROPPED] = dropped
  if dropped == 1 then
    local oldest, rest = text:match('^([^,]+),()')
    pace[P_REST] = rest
    if oldest then return oldest end
  end
  local stored = pace[P_STORED]
  if not stored then
    stored = {}
    for one in text:gmatch('[^,]+') do stored[#stored + 1] = one end
    pace[P_STORED] = stored
  end
  return stored[dropped] or pace[P_DURATIONS][dropped - #stored]
end

-- A finished attempt of known duration (nil: unknown), and how many items one event settled. Returns the duration's text.
function R.keep_pace(job, duration, count)
  local pace, text = job[J_PACE] or R.read_pace(job), nil
  if duration then
    text = R.duration_text
    if duration ~= R.duration then
      text = type(duration) == 'string' and duration or ('%d'):format(duration)
      R.duration, R.duration_text = duration, text
    end
    local kept, samples, oldest = pace[P_COUNT] + 1, pace[P_SAMPLES], 0
    pace[P_DURATIONS][kept], pace[P_COUNT] = text, kept
    if samples == 100 then oldest = R.oldest_duration(job, pace) else pace[P_SAMPLES] = samples + 1 end
    pace[P_SUM] = pace[P_SUM] * 0.95 + duration - oldest * 0.0059205292203340
  end
  if count > 0 then
    local factor, last, at = count == 1 and 0.95 or 0.95 ^ count, pace[P_LAST] or 0, pace[P_LAST]
    if pace[P_BASE] ~= R.base then at, pace[P_BASE] = R.processing_time(job[J_H]), R.base end
    pace[P_MEAN] = pace[P_MEAN] * factor + (at - last) / count * (1 - factor)
    pace[P_WEIGHT] = pace[P_WEIGHT] * factor + (1 - factor)
    pace[P_LAST] = at
  end
  return text
end
