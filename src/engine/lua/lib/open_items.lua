-- Items in process that are not among those already read: with many quick items beside it, a long one was logged long ago. The
-- header knows how many there are; they are looked for from the newest page backwards, in 1,000 items at most.

local function open_items(key, header, ids, records, most)
  local PAGE_ITEMS, PAGES_MAX = 16, 63
  local left = math.min(most, tonumber(string.match(header, '^1' .. string.rep('\t[^\t]*', 13) .. '\t(%d+)')) or 0)
  local known = {}
  for at, id in ipairs(ids) do
    known[id] = true
    if string.match(records[at] or '', '^[^\t]*') == 'processing' then left = left - 1 end
  end
  local open_ids, open_records = {}, {}
  local seen = string.match(header, '\t%d+,%d+,%d+,%d+,(%d+),%d+\t[^\t]*$') + 0
  local newest = math.floor((seen - 1) / PAGE_ITEMS)
  for page = newest, math.max(0, newest - PAGES_MAX + 1), -1 do
    if left <= 0 then break end
    local page_ids, fields = {}, {}
    for id in string.gmatch(redis.call('HGET', key, 'o:' .. page) or '', '[^\t]+') do
      if not known[id] then page_ids[#page_ids + 1], fields[#fields + 1] = id, 'i:' .. id end
    end
    local found = #fields > 0 and redis.call('HMGET', key, unpack(fields)) or {}
    for at, id in ipairs(page_ids) do
      if left > 0 and string.match(found[at] or '', '^[^\t]*') == 'processing' then
        left = left - 1
        open_ids[#open_ids + 1], open_records[#open_records + 1] = id, found[at]
      end
    end
  end
  return open_ids, open_records
end
