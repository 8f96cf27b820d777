-- What estimates are made from: decayed mean duration of an attempt, decayed mean interval between settled items.
-- Both are exponential moving averages (R. G. Brown, 1956) with the bias of their start divided out on reading.

local DECAY = 0.95
local SAMPLES_MAX = 100
local DECAY_BEYOND = DECAY ^ SAMPLES_MAX

local function pace_of(job)
  if job.pace == '' then return 0, 0, 0, 0, 0 end
  local samples, sum, mean, weight, at = match(job.pace, '^([^,]*),([^,]*),([^,]*),([^,]*),([^,]*)$')
  return samples + 0, sum + 0, mean + 0, weight + 0, tonumber(at) or 0
end

-- `duration` of a finished attempt (nil when unknown) and `count` items settled by one event at processing time `at`.
local function keep_pace(job, duration, count, at)
  local samples, sum, mean, weight, last = pace_of(job)
  local last_text = last
  if weight == 0 then last_text = '' end
  if duration then
    local oldest = 0
    if samples == SAMPLES_MAX then
      local comma = find(job.durations, ',', 1, true)
      oldest = sub(job.durations, 1, comma - 1) + 0
      job.durations = sub(job.durations, comma + 1)
    end
    samples = min(samples + 1, SAMPLES_MAX)
    sum = floor((sum * DECAY + duration - oldest * DECAY_BEYOND) * 1000 + 0.5) / 1000
    job.durations = job.durations and job.durations ~= '' and (job.durations .. ',' .. duration) or tostring(duration)
    job.durations_changed = true
  end
  if count > 0 and at then
    local factor = count == 1 and DECAY or DECAY ^ count
    mean = floor((mean * factor + (at - last) / count * (1 - factor)) * 1000 + 0.5) / 1000
    weight = floor((weight * factor + (1 - factor)) * 1000000 + 0.5) / 1000000
    last_text = at
  end
  job.pace = samples .. ',' .. sum .. ',' .. mean .. ',' .. weight .. ',' .. last_text
end
