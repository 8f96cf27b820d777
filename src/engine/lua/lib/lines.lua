-- Lines of packed entries other than items, by name: column lists would save nothing where events are rare.

local function register_line(line)
  local tenant, job, cid, total, state, completed, failed, skipped, canceled, rate_limited, deadline, auto_complete,
    fail_on_deadline, created, title, job_kind, item_kind, concurrency, metadata = line:match('^r{19 columns}$')
  return tenant and {
    tenant = tenant, job = job, cid = cid, total = total, state = state, completed = completed, failed = failed,
    skipped = skipped, canceled = canceled, rate_limited = rate_limited, deadline = deadline, auto_complete = auto_complete,
    fail_on_deadline = fail_on_deadline, created = created, title = title, job_kind = job_kind, item_kind = item_kind,
    concurrency = concurrency, metadata = metadata
  }, 'register'
end

local function progress_line(line)
  local tenant, job, cid, total, completed, failed, skipped, canceled, rate_limited, retry_at = line:match('^p{10 columns}$')
  return tenant and {
    tenant = tenant, job = job, cid = cid, total = total, completed = completed, failed = failed, skipped = skipped,
    canceled = canceled, rate_limited = rate_limited, retry_at = retry_at
  }, 'progress'
end

local function other_line(line)
  local letter = line:sub(1, 1)
  if letter == 'r' then return register_line(line) end
  if letter == 'p' then return progress_line(line) end
  if letter == 's' then
    local tenant, job, cid, state, resume, retry_at, reason = line:match('^s{7 columns}$')
    return tenant and { tenant = tenant, job = job, cid = cid, state = state, resume = resume, retry_at = retry_at, reason = reason }, 'state'
  end
  local tenant, job, cid, one, two = line:match('^%l{5 columns}$')
  if letter == 'h' then return tenant and { tenant = tenant, job = job, cid = cid, ack = one }, 'heartbeat' end
  if letter == 'c' then return tenant and { tenant = tenant, job = job, cid = cid, action = one, reason = two }, 'control' end
  return nil, nil
end
