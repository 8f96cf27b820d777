-- Instants in the data of hand-written entries. They describe, they never order anything.

local MONTH_DAYS = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

-- Days since 1970-01-01 of the proleptic Gregorian calendar; years begin in March, so that leap days come last
-- (H. Hinnant, chrono-compatible low-level date algorithms).
local function days_from_civil(year, month, day)
  if month <= 2 then year = year - 1 end
  local era = math.floor(year / 400)
  local year_of_era = year - era * 400
  local day_of_year = math.floor((153 * (month + (month > 2 and -3 or 9)) + 2) / 5) + day - 1
  return era * 146097 + year_of_era * 365 + math.floor(year_of_era / 4) - math.floor(year_of_era / 100) + day_of_year - 719468
end

-- ISO 8601 to ms since 1970; nil when it is none. Without a zone it is UTC; what is finer than a ms is cut.
local function iso_ms(text)
  local year, month, day, hour, minute, second, rest =
    text:match('^(%d%d%d%d)%-(%d%d)%-(%d%d)[T ](%d%d):(%d%d):(%d%d)(.*)$')
  if not year then return nil end
  year, month, day, hour, minute, second = year + 0, month + 0, day + 0, hour + 0, minute + 0, second + 0
  local ms = 0
  local fraction, zone = rest:match('^%.(%d+)(.*)$')
  if fraction then
    ms = (fraction .. '00'):sub(1, 3) + 0
  else
    zone = rest
  end
  local offset_minutes = 0
  if zone ~= '' and zone ~= 'Z' then
    local sign, hours, minutes = zone:match('^([+-])(%d%d):?(%d%d)$')
    if not sign then return nil end
    offset_minutes = (hours * 60 + minutes) * (sign == '-' and -1 or 1)
  end
  if month < 1 or month > 12 or day < 1 or day > MONTH_DAYS[month] or hour > 23 or minute > 59 or second > 59 then return nil end
  return ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute - offset_minutes) * 60000 + second * 1000 + ms
end
