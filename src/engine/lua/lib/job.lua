-- A job in memory: a list of columns, cheaper to make than a table of names. Its header is one too, text until something
-- changes it: most columns stay as they were.
-- #columns H LID EPOCH SEQ REV STATE FLAGS RETRY_AT TOTAL COMPLETED FAILED RETRYABLE SKIPPED CANCELED PROCESSING PENDING PARTIAL
-- #columns H REPORTED INITIAL CREATED STARTED PROC_MS PROC_SINCE LIFE UPDATED STATE_SINCE IDLE_SINCE CONTROL DEADLINE PACE STORE REASON
-- WANTED fields and their VALUES, WIDTH of them, in parallel; the SLOT of an item is its place there, and what it is NOW
-- stands in slot - 2. SLOTS finds them by name, once there are two.
-- #columns J MEMBER KEY TENANT ID H ENTRY SCORE LIFE REV REV_BEFORE SEQ_BEFORE STATE_BEFORE CHANGED LOGGED EVENTS WANTED WIDTH
-- #columns J VALUES NOW SLOTS UPDATED NEW_ITEMS SEEN PACE PROGRESS TOUCHED MESSAGE DUE
-- What few jobs have, absent until then:
-- #columns J FIELDS CONTROL_CHANGED DROP REGISTRATION REGISTERED WAIT_UNTIL STRIP GONE EPOCH

function R.new_job(member, tenant, id)
  return {
    member, ARGV[1] .. member, tenant, id, false, false, false, false, 0, 0, 0, '', false, 0, false, { '_', 's', false }, 2,
    false, { false }, false, false, false, false, false, false, false, false, false
  }
end

function R.load_header(job, header)
  local h = { header:match('^1{31 columns}$') }
  if not h[1] then
    R.newer = true -- or not ours: nothing of it is touched
    return
  end
  local rev = h[H_REV] + 0
  job[J_H], job[J_SEQ_BEFORE], job[J_REV], job[J_REV_BEFORE], job[J_STATE_BEFORE] = h, h[H_SEQ] + 0, rev, rev, h[H_STATE]
end

-- A worker was heard; whatever it said is accepted by now.
function R.sign_of_life(job, cid)
  local h = job[J_H]
  job[J_LIFE] = R.base
  if R.base > h[H_LIFE] + 0 then h[H_LIFE] = R.base_text end
  if h[H_FLAGS] ~= '' and R.has_flag(h, 'S') then
    R.clear_flag(h, 'S')
    job[J_CHANGED] = true
    R.log_event(job, 't', cid, '')
  end
end
