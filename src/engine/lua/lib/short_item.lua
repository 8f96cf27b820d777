-- The two most frequent updates of items in as few steps as possible: an unknown item is started, a started one is
-- completed, both without anything else. What is not that goes the long way (lib/item.lua).
-- #columns E TENANT JOB CID ITEM STATE NUMBERS TAIL
-- #columns I STATE ATTEMPT RETRYABLE PERCENT STARTED DURATION CREATED UPDATED TRUNCATED TAIL
-- NUMBERS: attempt retryable percent duration created updated truncated. TAIL: row_index weight title kind worker error
-- result. Both are one text, looked into only when there is something in it.

-- #constant NO_NUMBERS '\t\t\t\t\t\t'
-- #constant NO_TAIL '\t\t\t\t\t\t'
-- #constant TAIL '^([^\t]*\t[^\t]*\t[^\t]*\t[^\t]*)\t([^\t]*\t[^\t]*\t[^\t]*)$'
-- #constant STARTED_ITEM '^processing\t(%d+)\t0\t(%d+)\t(%d+)\t%d*\t(%d+)\t%d+\t(1?)\t()'
-- #constant ITEM '^([^\t]*){8 columns}\t(.*)$'
-- #constant NUMBERS '^([^\t]*){6 columns}$'

-- A line of nothing but item, state and tail. Returns applied, repeat or ignored as every reducer does.
function R.reduce_short(job, slot, state, id, tail)
  local h, now = job[J_H], job[J_NOW]
  if not h then R.refuse_unknown(job) end
  if h[H_STATE] ~= 'running' and R.is_terminal(h[H_STATE]) then R.refuse_ended(job) end
  local record, base, ms, letter = now[slot - 2] or job[J_VALUES][slot], R.base, R.ms, nil
  if not record and state == 'processing' then
    local seen = job[J_SEEN] or h[H_STORE]:match('^%d+,%d+,%d+,%d+,(%d+)') + 0
    if seen >= R.items_max then R.see_first(job, id) end -- refuses
    if job[J_LIFE] ~= base then R.sign_of_life(job, '') end
    local ids = job[J_NEW_ITEMS]
    if ids then ids[#ids + 1] = id else job[J_NEW_ITEMS] = { id } end
    job[J_SEEN] = seen + 1
    h[H_PROCESSING], h[H_IDLE_SINCE] = h[H_PROCESSING] + 1, ''
    local started = R.started
    if not started then
      started = 'processing\t1\t0\t0\t' .. R.base_text .. '\t\t' .. ms .. '\t' .. ms .. '\t\t'
      R.started = started
    end
    record, letter = started .. tail, 's\t'
  elseif record and state == 'completed' and tail == NO_TAIL then
    local attempt, percent, started, created, truncated, rest = record:match(STARTED_ITEM)
    if attempt then
      if job[J_LIFE] ~= base then R.sign_of_life(job, '') end
      local duration, simple, processing = base - started, h[H_REPORTED] == '' and h[H_INITIAL] == '', h[H_PROCESSING] - 1
      local before = simple or R.settled(h)
      h[H_PROCESSING], h[H_COMPLETED] = processing, h[H_COMPLETED] + 1
      if duration < 0 then duration = 0 end
      if percent ~= '0' then h[H_PARTIAL] = h[H_PARTIAL] - percent end
      if processing == 0 then h[H_IDLE_SINCE] = R.base_text end
      local text = R.keep_pace(job, duration, h[H_PROC_SINCE] == '' and 0 or simple and 1 or R.settled(h) - before)
      record = 'completed\t' .. attempt .. '\t0\t10000\t' .. started .. '\t' .. text .. '\t' .. created .. '\t' .. ms .. '\t' .. truncated ..
        '\t' .. record:sub(rest)
      letter = 'c\t'
    end
  end
  if not letter then return R.reduce_any_item(job, slot, { '', '', '', id, state, NO_NUMBERS, tail }, record) end
  local logged, line = job[J_LOGGED] + 1, letter .. ms .. '\t\t' .. id .. '\t' .. record
  if logged == 1 then job[J_EVENTS] = { line } else job[J_EVENTS][logged] = line end
  if job[J_PROGRESS] then job[J_PROGRESS][slot] = nil end
  now[slot - 2], job[J_LOGGED], job[J_CHANGED] = record, logged, true
  return 'applied'
end
