-- Timers of the jobs that were touched, and of those whose time had come when the call began.

for at = 1, #R.order do
  local job = R.order[at]
  if job[J_H] and (job[J_ENTRY] or job[J_SCORE] and job[J_SCORE] <= end_base) then
    job[J_TOUCHED] = true
    local due = R.next_due(job[J_H], job)
    while due <= end_base and not job[J_GONE] do
      R.fire(job)
      if job[J_CHANGED] then job[J_CHANGED], job[J_REV], job[J_UPDATED] = false, job[J_REV] + 1, R.ms end
      R.timers = R.timers + 1
      due = R.next_due(job[J_H], job)
    end
    job[J_DUE] = due
  end
end
