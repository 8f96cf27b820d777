-- JSON of hand-written entries: decoded once for the reducer's own fields; objects that only pass through
-- (metadata, result, error) are taken as the text they came in, after a strict look at it, since a second encoder
-- would turn [] into {} and cut long integers, and the decoder lets 1. pass.

local DEPTH_MAX = 16

local function json_string_end(text, from)
  local at = from + 1
  while true do
    local stop = find(text, '["\\%z\1-\31]', at)
    if not stop then return nil end
    local char = byte(text, stop)
    if char == 34 then return stop + 1 end
    if char ~= 92 then return nil end
    at = stop + 2
  end
end

local function json_number_end(text, from)
  local number = match(text, '^[%d.eE+-]+', from)
  if not number then return nil end
  local rest = match(number, '^%-?%d+(.*)$')
  if not rest then return nil end
  rest = match(rest, '^%.%d+(.*)$') or rest
  if rest ~= '' and not find(rest, '^[eE][+-]?%d+$') then return nil end
  return from + #number
end

-- Index behind the value that begins at or after `from`. `visit(key, first, last)` is told of members at depth 1.
local function json_value_end(text, from, depth, visit)
  from = find(text, '[^ \t\r\n]', from)
  local char = from and byte(text, from)
  if char == 34 then return json_string_end(text, from) end
  if char == 116 then return find(text, '^true', from) and from + 4 end
  if char == 102 then return find(text, '^false', from) and from + 5 end
  if char == 110 then return find(text, '^null', from) and from + 4 end
  if char ~= 123 and char ~= 91 then return from and json_number_end(text, from) end
  if depth >= DEPTH_MAX then refuse('too_deep', 'nested deeper than ' .. DEPTH_MAX) end
  local close = char == 123 and 125 or 93
  local at = find(text, '[^ \t\r\n]', from + 1)
  if not at then return nil end
  if byte(text, at) == close then return at + 1 end
  while true do
    local key_first, key_last
    if char == 123 then
      key_first = find(text, '[^ \t\r\n]', at)
      if not key_first or byte(text, key_first) ~= 34 then return nil end
      key_last = json_string_end(text, key_first)
      local colon = key_last and find(text, '^[ \t\r\n]*:', key_last)
      if not colon then return nil end
      at = find(text, ':', key_last, true) + 1
    end
    local first = find(text, '[^ \t\r\n]', at)
    local behind = json_value_end(text, at, depth + 1)
    if not behind then return nil end
    if visit then visit(sub(text, key_first + 1, key_last - 2), first, behind - 1) end
    at = find(text, '[^ \t\r\n]', behind)
    local following = at and byte(text, at)
    if following == close then return at + 1 end
    if following ~= 44 then return nil end
    at = at + 1
  end
end

-- Top-level members of an object as raw text, by name; the last of a repeated name wins, as in the decoder.
local function json_members(text)
  local members = {}
  local behind = json_value_end(text, 1, 0, function(key, first, last) members[key] = sub(text, first, last) end)
  if not behind or find(text, '[^ \t\r\n]', behind) then refuse('malformed_json', 'data is not strict JSON') end
  return members
end

local strict_json
local function json_object(text)
  if not strict_json then
    strict_json = cjson.new() -- the shared instance would accept NaN and 0x10, and other scripts rely on its settings
    strict_json.decode_invalid_numbers(false)
  end
  local ok, value = pcall(strict_json.decode, text)
  if not ok then refuse('malformed_json', value) end
  if type(value) ~= 'table' or not find(text, '^[ \t\r\n]*{') then refuse('malformed_json', 'data is not an object') end
  return value
end
