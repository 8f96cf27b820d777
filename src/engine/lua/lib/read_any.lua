-- Reading what is no short line: other lines of a batch, hand-written entries, and what is malformed.

-- Any line: tenant job cid item state, then numbers and tail as they are.
-- #constant ITEM_LINE '^i{5 columns}\t([^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*)\t(.*)$'

-- A refusal found while reading stands in the place of the event.
function R.add_refused(code, detail, line, fields)
  local n = R.count + 1
  R.count, kinds[n], targets[n], lines[n] = n, 'refused', fields or false, line
  events[n] = { code = code, detail = detail, state = '', allowed = '' }
end

function R.add_event(kind, event, job, line)
  local n = R.count + 1
  R.count, kinds[n], targets[n], events[n], lines[n] = n, kind, job, event, line
  if kind == 'item' then slots[n] = R.slot_of(job, 'i:' .. event[E_ITEM])
  elseif kind == 'register' then slots[n] = R.slot_of(job, 'r') end
end

-- Of a refused line only this is known: without an address it means the job of the line before, and so does the next one;
-- otherwise nobody knows whom the next one means.
function R.refuse_line(code, detail, line, before)
  R.add_refused(code, detail, line)
  return line:find('^.\t\t\t') and before or nil
end

-- One line that is no short one; `before` is the job of the line before. Returns the job of this one.
function R.add_line(line, before)
  if #line > EVENT_BYTES then return R.refuse_line('event_too_large', #line .. ' bytes, at most ' .. EVENT_BYTES, line, before) end
  local event, kind, tenant, id
  if line:byte() == 105 then
    event, kind = { line:match(ITEM_LINE) }, 'item'
    tenant, id = event[E_TENANT], event[E_JOB]
  else
    event, kind = R.other_line(line)
    if event then tenant, id = event.tenant, event.job end
  end
  if not tenant then
    local detail = 'a line of type ' .. R.cut(line, 1) .. ' with other columns than its format has'
    return R.refuse_line(kind and 'malformed_entry' or 'unknown_type', detail, line, before)
  end
  if kind ~= 'item' and not R.is_utf8(line) then return R.refuse_line('invalid_utf8', 'the event is not UTF-8', line, before) end
  local job = before
  if id ~= '' or tenant ~= '' then job = R.job_of(tenant, id) end
  if not job then
    local detail = tenant == '' and id == '' and 'the line names no job, nor does the one before' or
      'tenant ' .. R.cut(tenant, 64) .. ' or job ' .. R.cut(id, 64) .. ' does not match the pattern of identifiers'
    return R.refuse_line('invalid_field', detail, line, nil)
  end
  R.add_event(kind, event, job, line)
  return job
end

function R.too_many_lines(text, first)
  for n = first, R.count do kinds[n] = nil end
  R.count = first - 1
  return R.add_refused('entry_too_large', 'more than 64 events', text)
end

function R.add_flat(list)
  local fields = {}
  for at = 1, #list, 2 do fields[list[at]] = list[at + 1] end
  local ok, kind, event, tenant, id = pcall(R.parse_flat, fields)
  if not ok then
    if type(kind) ~= 'table' then kind = { code = 'malformed_entry', detail = tostring(kind) } end
    return R.add_refused(kind.code, kind.detail, fields.data or '', fields)
  end
  local job = R.job_of(tenant, id)
  if not job then return R.add_refused('invalid_field', 'tenant or job does not match the pattern of identifiers', fields.data or '', fields) end
  R.add_event(kind, event, job, fields.data or '')
end
