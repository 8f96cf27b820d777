// Hooks for React >= 18. The client comes from a provider, or as an option of each hook.
//
//   <HeadwayProvider client={createClient({ url, getToken })}> … </HeadwayProvider>
//   const { job, items, connection, error } = useJob('job_123')

export { HeadwayProvider, useClient } from './provider.ts'
export type { HeadwayProviderProps } from './provider.ts'
export { useControl } from './use-control.ts'
export type { JobControl } from './use-control.ts'
export { useJob, useJobs } from './use-watch.ts'
export type { UseJobOptions, UseJobsOptions } from './use-watch.ts'
