// A job, or all jobs of the tenant, as they are now.

import { useMemo, useSyncExternalStore } from 'react'
import { EMPTY_TENANT, EMPTY_VIEW } from '../client/index.ts'
import type { Client, TenantView, WatchOptions, WatchView } from '../client/index.ts'
import { useClient } from './provider.ts'
import { createStore } from './store.ts'
import type { Store } from './store.ts'

export interface UseJobOptions extends WatchOptions {
  /** Default: the provider's. */
  client?: Client
}

export interface UseJobsOptions { client?: Client }

const NOTHING: Store<WatchView> = { subscribe: () => () => {}, getSnapshot: () => EMPTY_VIEW }

/**
 * Renders again when the job changes, at most once a frame. Components that use the same job share its subscription.
 * @param jobId null or absent = watches nothing yet
 */
export function useJob (jobId: string | null | undefined, options: UseJobOptions = {}): WatchView {
  const client = useClient(options.client)
  const { wait_ms: waitMs = 0, min_interval_ms: minIntervalMs = 0 } = options
  const store = useMemo(() => jobId == null
    ? NOTHING
    : createStore(() => client.watch(jobId, { wait_ms: waitMs, min_interval_ms: minIntervalMs }), EMPTY_VIEW),
  [client, jobId, waitMs, minIntervalMs])
  return useSyncExternalStore(store.subscribe, store.getSnapshot, () => EMPTY_VIEW)
}

/** Every job of the token's tenant, newest first. */
export function useJobs (options: UseJobsOptions = {}): TenantView {
  const client = useClient(options.client)
  const store = useMemo(() => createStore(() => client.watchTenant(), EMPTY_TENANT), [client])
  return useSyncExternalStore(store.subscribe, store.getSnapshot, () => EMPTY_TENANT)
}
