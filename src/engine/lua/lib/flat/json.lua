-- JSON of hand-written entries: decoded once for the reducer's own fields; objects that only pass through
-- (metadata, result, error) are taken as the text they came in, after a strict look at it, since a second encoder
-- would turn [] into {} and cut long integers, and the decoder lets 1. pass.

-- #constant DEPTH_MAX 16

local function json_string_end(text, from)
  local at = from + 1
  while true do
    local stop = text:find('["\\%z\1-\31]', at)
    if not stop then return nil end
    local char = text:byte(stop)
    if char == 34 then return stop + 1 end
    if char ~= 92 then return nil end
    at = stop + 2
  end
end

local function json_number_end(text, from)
  local number = text:match('^[%d.eE+-]+', from)
  if not number then return nil end
  local rest = number:match('^%-?%d+(.*)$')
  if not rest then return nil end
  rest = rest:match('^%.%d+(.*)$') or rest
  if rest ~= '' and not rest:find('^[eE][+-]?%d+$') then return nil end
  return from + #number
end

-- Index behind the value that begins at or after `from`. `visit(key, first, last)` is told of members at depth 1.
local function json_value_end(text, from, depth, visit)
  from = text:find('[^ \t\r\n]', from)
  local char = from and text:byte(from)
  if char == 34 then return json_string_end(text, from) end
  if char == 116 then return text:find('^true', from) and from + 4 end
  if char == 102 then return text:find('^false', from) and from + 5 end
  if char == 110 then return text:find('^null', from) and from + 4 end
  if char ~= 123 and char ~= 91 then return from and json_number_end(text, from) end
  if depth >= DEPTH_MAX then R.refuse('too_deep', 'nested deeper than ' .. DEPTH_MAX) end
  local close = char == 123 and 125 or 93
  local at = text:find('[^ \t\r\n]', from + 1)
  if not at then return nil end
  if text:byte(at) == close then return at + 1 end
  while true do
    local key_first, key_last
    if char == 123 then
      key_first = text:find('[^ \t\r\n]', at)
      if not key_first or text:byte(key_first) ~= 34 then return nil end
      key_last = json_string_end(text, key_first)
      local colon = key_last and text:find('^[ \t\r\n]*:', key_last)
      if not colon then return nil end
      at = text:find(':', key_last, true) + 1
    end
    local first = text:find('[^ \t\r\n]', at)
    local behind = json_value_end(text, at, depth + 1)
    if not behind then return nil end
    if visit then visit(text:sub(key_first + 1, key_last - 2), first, behind - 1) end
    at = text:find('[^ \t\r\n]', behind)
    local following = at and text:byte(at)
    if following == close then return at + 1 end
    if following ~= 44 then return nil end
    at = at + 1
  end
end

-- Top-level members of an object as raw text, by name; the last of a repeated name wins, as in the decoder.
local function json_members(text)
  local members = {}
  local behind = json_value_end(text, 1, 0, function(key, first, last) members[key] = text:sub(first, last) end)
  if not behind or text:find('[^ \t\r\n]', behind) then R.refuse('malformed_json', 'data is not strict JSON') end
  return members
end

local strict_json
local function json_object(text)
  if not strict_json then
    strict_json = cjson.new() -- the shared instance would accept NaN and 0x10, and other scripts rely on its settings
    strict_json.decode_invalid_numbers(false)
  end
  local ok, value = pcall(strict_json.decode, text)
  if not ok then R.refuse('malformed_json', value) end
  if type(value) ~= 'table' or not text:find('^[ \t\r\n]*{') then R.refuse('malformed_json', 'data is not an object') end
  return value
end
