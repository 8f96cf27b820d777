-- Events that take no effect: refused ones, and entries that are not their producer's next; and answers.

-- Of a short line only the place in its batch was kept.
function R.line_of(entry, n)
  local line = lines[n]
  if kinds[n] then return line end
  return entry[N_BATCH]:sub(line, (entry[N_BATCH]:find('\n', line, true) or 0) - 1)
end

function R.dead_letter(entry, n, refusal)
  local fields = kinds[n] == 'refused' and targets[n] or {}
  local job = kinds[n] ~= 'refused' and targets[n] or {}
  R.rejected = R.rejected + 1
  R.dead_letters = R.dead_letters or {}
  local letter = {
    'entry', entry[N_ID], 'index', n - entry[N_FIRST], 'code', refusal.code, 'detail', refusal.detail,
    'type', (not kinds[n] or kinds[n] == 'item') and 'item.update' or kinds[n] ~= 'refused' and 'job.' .. kinds[n] or R.cut(fields.type or '', 64),
    'tenant', job[J_TENANT] or R.cut(fields.tenant or '', 128), 'job', job[J_ID] or R.cut(fields.job or '', 128),
    'data', (R.cut(R.line_of(entry, n), 16384))
  }
  if entry[N_RE] then letter[17], letter[18] = 're', entry[N_RE] end -- whoever repeats it unheard can look why it had no effect
  R.dead_letters[#R.dead_letters + 1] = letter
  return 'no\t' .. refusal.code .. '\t' .. R.escape(refusal.detail) .. '\t' .. (refusal.state or '') .. '\t' .. (refusal.allowed or '')
end

-- An entry that is not its producer's next one, a repeat or behind a gap, has no effect.
function R.skip_entry(entry, producer)
  local count, text = entry[N_LAST] - entry[N_FIRST] + 1, nil
  if producer.known and entry[N_NUMBER] <= producer.number then
    producer.seen, R.repeated, text = R.base_text, R.repeated + count, 'ok\trepeat\t\t\t'
  else
    R.gaps, R.skipped = R.gaps + 1, R.skipped + count
    text = 'no\tproducer_gap\tnumber ' .. entry[N_NUMBER] .. ' came after ' .. producer.number .. '\t\t'
  end
  R.at = entry[N_LAST] + 1
  if entry[N_RE] then R.texts[1] = text end
end

-- The event that was being reduced took no effect at all.
function R.refuse_event(refusal)
  local entry, n = R.entry, R.at
  if type(refusal) ~= 'table' then refusal = { code = 'internal', detail = tostring(refusal) } end
  if targets[n] then targets[n][J_CHANGED] = false end
  local text = R.dead_letter(entry, n, refusal)
  if entry[N_RE] then R.texts[#R.texts + 1] = text end
  R.at = n + 1
end

function R.answer_event(job, effect)
  local h = job[J_H]
  R.texts[#R.texts + 1] = 'ok\t' .. effect .. '\t' .. h[H_STATE] .. '\t' .. job[J_REV] .. '\t' .. h[H_CONTROL]:match('^[^,]*')
end

function R.answer_entry(entry)
  R.answers = R.answers or {}
  R.answers[#R.answers + 1] = { entry[N_ID], table.concat(R.texts, '\n') }
end
