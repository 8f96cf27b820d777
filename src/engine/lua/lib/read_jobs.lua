-- Of each job of the entries what their events need, and of jobs whose time has come. Not under pcall either.

if R.producer_names then
  local stored = redis.call('HMGET', KEYS[9], unpack(R.producer_names))
  for at, name in ipairs(R.producer_names) do
    local producer = R.producers[name]
    producer.number, producer.known = stored[at] and stored[at]:match('^%d+') + 0 or 0, stored[at] and true
  end
end
if redis.call('ZCOUNT', KEYS[3], '-inf', end_base) > 0 then -- half the price of a range, and most often there is none
  local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', end_base, 'LIMIT', 0, 64)
  for at = 1, #due do R.job_of(due[at]:match('^([^/]*)/(.*)$')) end
end
local order, members = R.order, {}
for at = 1, #order do
  local job = order[at]
  local values = redis.call('HMGET', job[J_KEY], unpack(job[J_WANTED], 1, job[J_WIDTH]))
  members[at], job[J_VALUES] = job[J_MEMBER], values
  if values[1] then R.load_header(job, values[1]) end
end
if R.newer then return { 'newer_format', 0, cursor, 0, 0, 0, 0, 0, 0, 0, 0 } end

-- Every job is in the agenda if and only if its hash exists; otherwise its slot is on the move and half of it elsewhere.
if #order > 0 then
  local scores = redis.call('ZMSCORE', KEYS[3], unpack(members))
  for at = 1, #order do
    local job, score = order[at], scores[at]
    if (score and true) ~= (job[J_VALUES][1] and true) then return { 'torn' } end
    job[J_SCORE] = score and score + 0
  end
end
