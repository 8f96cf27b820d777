-- The writes of one call: texts that stand ready, nothing that could fail.

local function write_job(job)
  if job[J_GONE] then
    redis.call('UNLINK', job[J_KEY])
    redis.call('ZREM', KEYS[3], job[J_MEMBER])
    redis.call('ZREM', KEYS[4], job[J_TENANT] .. '/' .. job[J_H][H_EPOCH] .. '/' .. job[J_ID])
    return
  end
  if job[J_STRIP] then redis.call('UNLINK', job[J_KEY]) end
  redis.call('HSET', job[J_KEY], unpack(job[J_FIELDS]))
  if job[J_DROP] and #job[J_DROP] > 0 then redis.call('HDEL', job[J_KEY], unpack(job[J_DROP])) end
  if job[J_REGISTERED] then redis.call('ZADD', KEYS[4], 0, job[J_TENANT] .. '/' .. job[J_H][H_EPOCH] .. '/' .. job[J_ID]) end
end

for at = 1, #R.order do -- the only keys a call creates: what a moving slot refuses comes first
  if R.order[at][J_REGISTERED] and R.order[at][J_TOUCHED] then write_job(R.order[at]) end
end
for at = 1, #R.order do
  if R.order[at][J_TOUCHED] and not R.order[at][J_REGISTERED] then write_job(R.order[at]) end
end
if #agenda > 0 then redis.call('ZADD', KEYS[3], unpack(agenda)) end
if R.producer_names then
  local fields = {}
  for _, name in ipairs(R.producer_names) do
    local producer = R.producers[name]
    if producer.seen then fields[#fields + 1], fields[#fields + 2] = name, ('%d\t'):format(producer.number) .. producer.seen end
  end
  if #fields > 0 then redis.call('HSET', KEYS[9], unpack(fields)) end
end
if R.dead_letters then
  for _, letter in ipairs(R.dead_letters) do redis.call('XADD', KEYS[8], 'MAXLEN', '~', ARGV[16], '*', unpack(letter)) end
end
if R.answers then
  for _, answer in ipairs(R.answers) do pcall(redis.call, 'XADD', KEYS[7], answer[1], 'a', answer[2]) end -- fails when it stands there already
  redis.call('XTRIM', KEYS[7], 'MINID', '~', ('%d'):format(math.max(0, now - 10000)))
end
if #outbox > 0 then redis.call('XADD', KEYS[5], ('%d-0'):format(R.change), unpack(outbox)) end
if #dirty > 0 then
  redis.call('ZADD', KEYS[6], 'NX', unpack(dirty))
  redis.call('HINCRBY', KEYS[2], 'dm', 1) -- who wrote such a job meanwhile sees that it may have been marked again
end
redis.call('HSET', KEYS[2], '_', ('1\t%s\t%d\t%d\t%d\t%d\t%.0f\t%d\t%d'):format(
  R.cursor, gap_ms, gap_end, now, R.change, R.last_epoch, R.bytes_in, R.waiting
))

for at = 1, #R.order do
  local job = R.order[at]
  if job[J_GONE] then
    redis.call(ARGV[3], job[J_KEY], '1g\t' .. job[J_EPOCH] .. '\t' .. job[J_REV] .. '\t' .. job[J_TENANT] .. '\t' .. job[J_ID])
  elseif job[J_MESSAGE] then
    local text = job[J_MESSAGE]
    if job[J_PROGRESS] and not R.is_terminal(job[J_H][H_STATE]) then -- nothing follows a final event
      for _, line in pairs(job[J_PROGRESS]) do text = text .. '\n' .. line end
    end
    redis.call(ARGV[3], job[J_KEY], text)
  end
end
for _, tenant in ipairs(tenants) do redis.call(ARGV[3], ARGV[2] .. tenant, table.concat(tenant_lines[tenant], '\n')) end
if #R.entries > 0 then
  redis.call('XTRIM', KEYS[1], 'MINID', '~', R.cursor)
  pcall(redis.call, 'XGROUP', 'SETID', KEYS[1], 'headway', R.cursor)
end
