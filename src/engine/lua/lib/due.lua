-- When a job's next timer is due, and which one, on the partition's service clock.

function R.next_due(h, job)
  if h[H_STATE] == 'running' and h[H_FLAGS] == '' and h[H_CONTROL] == '' and h[H_RETRY_AT] == '' and h[H_DEADLINE] == '' then
    return h[H_LIFE] + ABANDON_AFTER, 'abandon'
  end
  return R.any_due(h, job)
end
