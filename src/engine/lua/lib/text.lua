-- Text on its way through: escaped where it would break a record, cut at a whole character, refused when not UTF-8.

local find, match, gsub, sub, byte = string.find, string.match, string.gsub, string.sub, string.byte
local concat, floor, max, min = table.concat, math.floor, math.max, math.min

local ESCAPES = { ['%'] = '%25', ['\t'] = '%09', ['\n'] = '%0A' }
local UNESCAPES = { ['25'] = '%', ['09'] = '\t', ['0A'] = '\n' }

local function escape(text)
  if find(text, '[%%\t\n]') then return (gsub(text, '[%%\t\n]', ESCAPES)) end
  return text
end

local function unescape(text)
  if find(text, '%', 1, true) then return (gsub(text, '%%(%x%x)', UNESCAPES)) end
  return text
end

-- Whole sequences are taken out, longest first; a high byte that stays was no part of one.
local function is_utf8(text)
  if not find(text, '[\128-\255]') then return true end
  text = gsub(text, '\240[\144-\191][\128-\191][\128-\191]', '?')
  text = gsub(text, '[\241-\243][\128-\191][\128-\191][\128-\191]', '?')
  text = gsub(text, '\244[\128-\143][\128-\191][\128-\191]', '?')
  text = gsub(text, '\224[\160-\191][\128-\191]', '?')
  text = gsub(text, '[\225-\236\238\239][\128-\191][\128-\191]', '?')
  text = gsub(text, '\237[\128-\159][\128-\191]', '?')
  text = gsub(text, '[\194-\223][\128-\191]', '?')
  return not find(text, '[\128-\255]')
end

-- The longest beginning of whole characters within `bytes_max`; second value: whether anything was cut.
local function cut(text, bytes_max)
  if #text <= bytes_max then return text, false end
  while bytes_max > 0 do
    local following = byte(text, bytes_max + 1)
    if following < 128 or following > 191 then break end
    bytes_max = bytes_max - 1
  end
  return sub(text, 1, bytes_max), true
end

local function is_id(text)
  return #text <= 128 and find(text, '^%w[%w._:-]*$') ~= nil
end

-- Refusals travel as errors with a table, so that a bad field deep inside needs no chain of returns.
local function refuse(code, detail, state, allowed)
  error({ code = code, detail = detail or '', state = state or '', allowed = allowed or '' }, 0)
end
