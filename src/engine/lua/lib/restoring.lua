-- Whether a job that is not there may come back: its partition is lost, or waits for the persister to put back what it knows.

local function restoring(meta)
  local stored = redis.call('HMGET', meta, '_', 'hold')
  if not stored[1] then return true end
  if not stored[2] then return false end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) < stored[2] + 0
end
