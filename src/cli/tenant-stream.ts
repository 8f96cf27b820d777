// All jobs of a tenant: the list, then the newest state of each; over cut lines. The client's own socket, without its watches.

import { createConnection } from '../client/connection.ts'
import { HttpError, type JobView } from '../client/index.ts'
import { REAL_CLOCK, REAL_WAKE, type SocketFactory } from '../client/platform.ts'
import { HeadwayError, isErrorCode } from '../protocol/errors.ts'
import type { ServerMessage } from '../protocol/messages.ts'
import type { TenantMessage } from '../protocol/tenant-messages.ts'

export interface TenantView {
  /** Newest registration first. */
  jobs: readonly JobView[]
  /** False until the list has come, and while the line is cut. */
  live: boolean
  /** True once the list has come. */
  loaded: boolean
}

export interface TenantStream {
  getView: () => TenantView
  /** Lets the socket go. */
  close: () => void
}

export interface TenantStreamOptions {
  url: string
  getToken: () => Promise<string>
  /** @throws what an HTTP call with the token answers; for the reason that a refused socket does not give */
  probe: () => Promise<unknown>
  onChange: () => void
  /** Nothing follows. */
  onRefused: (why: HeadwayError) => void
}

const RETRY_MS = 1_000
/** Coming back is no use. */
const LOUD_STATUS: readonly number[] = [401, 403]

export function openTenantStream ({ url, getToken, probe, onChange, onRefused }: TenantStreamOptions): TenantStream {
  let view: TenantView = { jobs: [], live: false, loaded: false }
  let retry: NodeJS.Timeout | undefined

  function receive (message: TenantMessage | ServerMessage): void {
    if (message.type === 'error') {
      const error = new HeadwayError(isErrorCode(message.code) ? message.code : 'internal', message.detail)
      if (!error.temporary) return onRefused(error)
      clearTimeout(retry)
      retry = setTimeout(subscribe, RETRY_MS * (0.5 + Math.random()))
      return
    }
    const next = applyMessage(view, message as TenantMessage)
    if (next === view) return
    view = next
    onChange()
  }

  function subscribe (): void {
    clearTimeout(retry)
    connection.send({ action: 'subscribe_tenant', id: 'all' })
  }

  const connection = createConnection({
    url: `${url.replace(/^http/, 'ws')}/v1/ws`,
    getToken,
    Socket: globalThis.WebSocket as unknown as SocketFactory,
    clock: REAL_CLOCK,
    random: Math.random,
    onWake: REAL_WAKE,
    onOpen: subscribe,
    onMessage: receive,
    onDown () {
      if (!view.live) return
      view = { ...view, live: false }
      onChange()
    },
    onRefused,
    async ask () {
      try {
        await probe()
      } catch (error) {
        if (error instanceof HttpError && LOUD_STATUS.includes(error.status)) return { refused: error }
      }
      return { wait_ms: 0 }
    }
  })
  connection.open()
  return {
    getView: () => view,
    close () {
      clearTimeout(retry)
      connection.close()
    }
  }
}

/** Pure: (view, message) → view. (epoch, rev) says which of two states of a job is the newer one; the older is ignored. */
export function applyMessage (view: TenantView, message: TenantMessage): TenantView {
  switch (message.type) {
    case 'tenant.snapshot': return { jobs: message.data.jobs, live: true, loaded: true }
    case 'tenant.job_changed': {
      const { job } = message.data
      const known = view.jobs.find(({ id }) => id === job.id)
      if (known === undefined) return { ...view, jobs: [job, ...view.jobs] }
      if (job.epoch < known.epoch || (job.epoch === known.epoch && job.rev <= known.rev)) return view
      return { ...view, jobs: view.jobs.map(one => one === known ? job : one) }
    }
    case 'tenant.job_removed': {
      const jobs = view.jobs.filter(({ id, epoch }) => id !== message.job_id || epoch > message.data.epoch)
      return jobs.length === view.jobs.length ? view : { ...view, jobs }
    }
    default: return view
  }
}
