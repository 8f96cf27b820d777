// Which page the address asks for.

export type Route = { page: 'jobs' } | { page: 'job', job_id: string }

/** Anything unknown is the list. */
export function parseRoute (hash: string): Route {
  const found = /^#\/jobs\/([^/?]+)$/.exec(hash)
  if (found?.[1] === undefined) return { page: 'jobs' }
  try {
    return { page: 'job', job_id: decodeURIComponent(found[1]) }
  } catch {
    return { page: 'jobs' }
  }
}

export function jobAddress (jobId: string): string {
  return `#/jobs/${encodeURIComponent(jobId)}`
}
