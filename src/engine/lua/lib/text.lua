-- Text on its way through: escaped where it would break a record, cut at a whole character, refused when not UTF-8,
-- merged with what was there.

-- Whole sequences are taken out, longest first; a high byte that stays was no part of one.
function R.is_utf8(text)
  if not text:find('[\128-\255]') then return true end
  text = text:gsub('\240[\144-\191][\128-\191][\128-\191]', '?'):gsub('[\241-\243][\128-\191][\128-\191][\128-\191]', '?')
  text = text:gsub('\244[\128-\143][\128-\191][\128-\191]', '?'):gsub('\224[\160-\191][\128-\191]', '?')
  text = text:gsub('[\225-\236\238\239][\128-\191][\128-\191]', '?'):gsub('\237[\128-\159][\128-\191]', '?')
  return not text:gsub('[\194-\223][\128-\191]', '?'):find('[\128-\255]')
end

-- The longest beginning of whole characters within `bytes_max`; second value: whether anything was cut.
function R.cut(text, bytes_max)
  if #text <= bytes_max then return text, false end
  while bytes_max > 0 do
    local following = text:byte(bytes_max + 1)
    if following < 128 or following > 191 then break end
    bytes_max = bytes_max - 1
  end
  return text:sub(1, bytes_max), true
end

function R.escape(text)
  if text:find('[%%\t\n]') then return (text:gsub('[%%\t\n]', { ['%'] = '%25', ['\t'] = '%09', ['\n'] = '%0A' })) end
  return text
end

-- Refusals travel as errors with a table, so that a bad field deep inside needs no chain of returns.
function R.refuse(code, detail, state, allowed)
  error({ code = code, detail = detail or '', state = state or '', allowed = allowed or '' }, 0)
end

-- A whole number of a packed column (text) or of decoded JSON (number); nil when it is absent.
function R.whole(text, name)
  if text == '' then return nil end
  if type(text) == 'number' then return text end
  if #text > 14 or not text:find('^%d+$') then
    R.refuse('invalid_field', name .. ' must be a whole number, 0 or more; it is ' .. R.cut(text, 64))
  end
  return text + 0
end

-- Tab-separated groups: what the update gives replaces, what it leaves empty stays.
function R.merge_columns(old, new, nothing)
  if new == nothing or new == old then return old end
  if old == nothing then return new end
  local merged, rest = {}, old .. '\t'
  for value in (new .. '\t'):gmatch('([^\t]*)\t') do
    local stop = rest:find('\t', 1, true)
    merged[#merged + 1] = value ~= '' and value or rest:sub(1, stop - 1)
    rest = rest:sub(stop + 1)
  end
  return table.concat(merged, '\t')
end
