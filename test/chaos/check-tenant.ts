// The checker's view of one client of the tenant's stream. State, not a log: of each job the greater (epoch, rev) holds, and what is
// between two of them may be missing. Like check-client.ts it imports nothing from the program under test.

import { COMPARED, TERMINAL, type Final } from './check-final.ts'
import type { Line, Message, Rules } from './record.ts'

type JobView = Record<string, unknown> & { id: string, epoch: number, rev: number, state: string }

export interface TenantWalk {
  take (line: Line): void
  /** What it knew when the run was over, held against Redis. */
  end (finals: Iterable<Final>): void
  readonly frames: number
  readonly connections: number
}

export interface TenantWalkParams {
  client: number
  /** Ids of the tenant's jobs; there are no others. */
  jobs: ReadonlySet<string>
  rules: Rules
  fault: (text: string) => void
}

export function walkTenant ({ client, jobs, rules, fault }: TenantWalkParams): TenantWalk {
  /** What it shows: the list, and what changed since. */
  let shown = new Map<string, JobView>()
  /** The newest change of each job that this connection told. */
  let told = new Map<string, JobView>()
  let connection = 0
  let frames = 0
  /** This connection has had no list yet. */
  let fresh = true

  function snapshot (message: Message, at: string): void {
    const { jobs: list, reset } = message.data as { jobs: JobView[], reset: boolean }
    if (fresh && reset) fault(`${at}: reset, though it had nothing yet`)
    if (!fresh && !reset) fault(`${at}: a second list without reset`)
    fresh = false
    const before = shown
    shown = new Map()
    for (const job of list) {
      judge(job, before.get(job.id), at)
      shown.set(job.id, job)
    }
    // The newest 200 are all of them here, and none ends its stay in Redis during a run.
    for (const id of before.keys()) if (!shown.has(id) && !rules.unknown && !rules.new_epochs) fault(`${at}: ${id} is missing in the list`)
  }

  function judge (job: JobView, known: JobView | undefined, at: string): void {
    const { id, epoch, rev, state } = job
    if (!jobs.has(id)) fault(`${at}: ${id} is no job of this tenant`)
    if (known === undefined) return
    if (isOlder(job, known)) fault(`${at}: ${id} goes back from ${known.epoch}/${known.rev} to ${epoch}/${rev}`)
    if (epoch > known.epoch && !rules.new_epochs) fault(`${at}: a new epoch of ${id}, though nothing was lost`)
    if (epoch === known.epoch && TERMINAL.includes(known.state) && state !== known.state) fault(`${at}: ${id} is ${state} after it was ${known.state}`)
  }

  function changed (message: Message, at: string): void {
    const job = (message.data ?? {})['job'] as JobView
    const { id } = job
    if (fresh) fault(`${at} of ${id} before the list`)
    if (message.job_id !== id || message.rev !== job.rev) fault(`${at}: says ${String(message.job_id)}/${String(message.rev)} of ${id}/${job.rev}`)
    judge(job, told.get(id), at)
    told.set(id, job)
    const known = shown.get(id)
    if (known !== undefined && isOlder(job, known)) return // held back when a list overtook it: a client ignores it
    judge(job, known, at)
    shown.set(id, job)
  }

  function frame (message: Message): void {
    const at = `tenant client ${client}, connection ${connection}: ${message.type}`
    if (!message.type.startsWith('tenant.')) return
    frames++
    if (message.type === 'tenant.snapshot') snapshot(message, at)
    else if (message.type === 'tenant.job_changed') changed(message, at)
    else if (message.type === 'tenant.job_removed') {
      shown.delete(message.job_id ?? '')
      if (!rules.unknown) fault(`${at}: ${String(message.job_id)} was removed, though it stays longer than a run`)
    }
  }

  return {
    get frames () { return frames },
    get connections () { return connection },
    take (line) {
      if (line.k === 'open') {
        connection = line.connection
        fresh = true
        told = new Map()
      } else if (line.k === 'frame') {
        frame(line.message)
      }
    },
    end (finals) {
      for (const { job, view } of finals) {
        if (view === null) continue // told by checkJob
        const at = `tenant client ${client}`
        const last = shown.get(job)
        if (last === undefined) {
          fault(`${at} never heard of ${job}`)
        } else if (TERMINAL.includes(String(view['state'])) && last.state !== view['state']) {
          fault(`${at} never saw the end of ${job}; it knows it as ${last.state}`)
        } else if (last.epoch !== view['epoch'] || last.rev !== view['rev']) {
          fault(`${at} has ${job} at ${last.epoch}/${last.rev}, in Redis it is at ${String(view['epoch'])}/${String(view['rev'])}`)
        } else {
          for (const name of ['state', ...COMPARED]) {
            if (last[name] !== view[name]) fault(`${at}: last heard ${name} ${String(last[name])} of ${job}, in Redis it is ${String(view[name])}`)
          }
        }
      }
    }
  }
}

function isOlder (job: JobView, than: JobView): boolean {
  return job.epoch === than.epoch ? job.rev < than.rev : job.epoch < than.epoch
}
