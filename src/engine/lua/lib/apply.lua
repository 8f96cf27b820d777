-- Entries in their order against the jobs in memory. Nothing is written here.

function R.is_after(a, b)
  if a:byte(14) == 45 and b:byte(14) == 45 then -- 45: the dash behind 13 digits, so texts compare as numbers do
    if #a == #b then return a > b end
    local a_ms, b_ms = a:sub(1, 13), b:sub(1, 13)
    return a_ms > b_ms or a_ms == b_ms and #a > #b
  end
  local a_ms, a_n = a:match('^(%d+)-(%d+)$')
  local b_ms, b_n = b:match('^(%d+)-(%d+)$')
  if a_ms ~= b_ms then return a_ms + 0 > b_ms + 0 end
  return a_n + 0 > b_n + 0
end

function R.begin_entry(entry)
  R.entry, R.at = entry, entry[N_FIRST]
  R.set_time(entry[N_MS])
  if entry[N_RE] then R.texts = {} end
  local producer, number = entry[N_PRODUCER], entry[N_NUMBER]
  if not producer then return end
  if number == producer.number + 1 then
    producer.number, producer.seen, producer.known = number, R.base_text, true
  else
    R.skip_entry(entry, producer)
  end
end

-- Every event behind the last one that was reduced, until one is refused: pcall costs, so it stands around them all.
function R.reduce_all()
  local entries, reduce_short = R.entries, R.reduce_short
  for nth = R.nth, #entries do
    local entry = entries[nth]
    if R.entry ~= entry then
      R.nth = nth
      R.begin_entry(entry)
    end
    for n = R.at, entry[N_LAST] do
      R.at = n
      local kind, job, event, effect = kinds[n], targets[n], events[n], 'repeat'
      if kind == 'refused' then error(event, 0) end
      local h = job[J_H]
      if not h or job[J_ENTRY] == entry or R.is_after(entry[N_ID], h[H_LID]) then
        if not kind then
          effect = reduce_short(job, slots[n], event, items[n], tails[n])
        elseif kind == 'item' then
          effect = R.reduce_item(job, slots[n], event)
        else
          effect = R.reduce_job_event(kind, job, event, slots[n])
          h = job[J_H]
        end
        job[J_ENTRY] = entry
        if h[H_FLAGS] ~= '' and R.has_flag(h, 'A') then R.complete_if_settled(job, not kind and '' or kind == 'item' and event[E_CID] or event.cid) end
        if job[J_CHANGED] then
          job[J_CHANGED], job[J_REV], job[J_UPDATED], effect = false, job[J_REV] + 1, R.ms, 'applied'
        end
      end
      if effect == 'repeat' then R.repeated = R.repeated + 1
      elseif effect == 'ignored' then R.ignored = R.ignored + 1 end
      if entry[N_RE] then R.answer_event(job, effect) end
    end
    if entry[N_RE] then R.answer_entry(entry) end
  end
  R.nth = #entries + 1
end

while R.nth <= #R.entries do
  local ok, refusal = pcall(R.reduce_all)
  if not ok then R.refuse_event(refusal) end
end
