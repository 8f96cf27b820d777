// The checker's view of the end: what Redis holds against what the plan promised, and what every client knew against Redis.

import type { LastSeen } from './check-client.ts'
import type { Counters, Expected, Line } from './record.ts'

export type Final = Extract<Line, { k: 'final' }>

export const TERMINAL = ['completed', 'failed', 'canceled']
const COUNTERS: (keyof Counters)[] = ['items_total', 'items_completed', 'items_failed', 'items_skipped', 'items_canceled']
/** Of a job's view: what does not depend on the clock. */
export const COMPARED = [...COUNTERS, 'items_pending', 'items_processing', 'percent_complete', 'percent_in_progress', 'rate_limited', 'stalled']

/** What the job is in Redis, held against the plan. */
export function checkJob (expected: Expected, final: Final, fault: (text: string) => void): void {
  const { view, items } = final
  if (view === null) return fault(`${expected.job} is not in Redis`)
  if (view['state'] !== expected.state) fault(`${expected.job} is ${String(view['state'])} in Redis, planned was ${expected.state}`)
  const counters = Object.fromEntries(COUNTERS.map(name => [name, Number(view[name])])) as Counters
  if (expected.counters === null) {
    const { items_total: total, ...settled } = counters
    const sum = Object.values(settled).reduce((a, b) => a + b, 0)
    if (total !== expected.items_total || sum !== total) fault(`${expected.job}: ${sum} items in all states, ${total} in total, planned ${expected.items_total}`)
  } else {
    for (const name of COUNTERS) {
      if (counters[name] !== expected.counters[name]) fault(`${expected.job}: ${name} is ${counters[name]}, planned was ${expected.counters[name]}`)
    }
    checkItems(expected, items, fault)
  }
  checkLog(expected.job, final, view, fault)
}

function checkItems ({ job, items: planned }: Expected, found: Final['items'], fault: (text: string) => void): void {
  const stored = new Map(found.map(item => [String(item['id']), item]))
  for (const [id, { state, attempt, percent }] of Object.entries(planned)) {
    const item = stored.get(id)
    stored.delete(id)
    if (item === undefined) fault(`${job}: item ${id} is missing`)
    else if (item['state'] !== state || item['attempt'] !== attempt) {
      fault(`${job}: item ${id} is ${String(item['state'])} #${String(item['attempt'])}, planned was ${state} #${attempt}`)
    } else if (percent !== undefined && item['percent_complete'] !== percent) {
      fault(`${job}: item ${id} is at ${String(item['percent_complete'])} %, planned was ${percent}`)
    }
  }
  for (const id of stored.keys()) fault(`${job}: item ${id} was never planned`)
}

/** H3, H4 and exactly-once in the log itself. */
function checkLog (job: string, { log, log_whole: whole }: Final, view: Record<string, unknown>, fault: (text: string) => void): void {
  const once = new Set<string>()
  for (const [n, { seq, rev, what }] of log.entries()) {
    const before = log[n - 1]
    if (before !== undefined && seq !== before.seq + 1) fault(`${job}: the log goes from ${before.seq} to ${seq}`)
    if (before !== undefined && rev < before.rev) fault(`${job}: rev goes back in the log at ${seq}`)
    if (what.startsWith('job.')) continue
    if (once.has(what)) fault(`${job}: took effect twice, ${what} at ${seq}`)
    once.add(what)
  }
  const newest = log.at(-1)
  if (whole && (log[0]?.seq !== 1 || newest?.seq !== view['seq'])) fault(`${job}: the log is not 1 to ${String(view['seq'])}`)
  const ends = log.filter(({ what }) => TERMINAL.some(state => what === `job.${state}`))
  if (TERMINAL.includes(String(view['state']))) {
    if (ends.length !== 1 || ends[0] !== newest) fault(`${job}: ${ends.length} ends in the log, or not as the last`)
  } else if (ends.length > 0) fault(`${job}: an end in the log of a job that goes on`)
}

/** Nobody was left behind: everyone has seen the end, or stands where the job stands, with its numbers. */
export function checkLast (last: LastSeen, final: Final, fault: (text: string) => void): void {
  const { view } = final
  const at = `client ${last.client} of ${last.job}`
  if (view === null) return // told by checkJob
  if (last.epoch === null || last.metrics === null) return fault(`${at} never got a snapshot`)
  if (TERMINAL.includes(String(view['state']))) {
    if (!last.ended) return fault(`${at} never saw the end; it stands at seq ${last.seq} of ${String(view['seq'])}`)
  } else if (last.epoch !== view['epoch'] || last.seq !== view['seq']) {
    return fault(`${at} stands at ${last.epoch}.${last.seq}, the job at ${String(view['epoch'])}.${String(view['seq'])}`)
  }
  for (const name of COMPARED) {
    if (last.metrics[name] !== view[name]) {
      fault(`${at}: last heard ${name} ${String(last.metrics[name])}, in Redis it is ${String(view[name])}`)
    }
  }
  for (const item of final.items) {
    const heard = last.percents.get(String(item['id']))
    if (item['state'] === 'processing' && !last.ended && heard !== item['percent_complete']) {
      fault(`${at}: last heard ${String(heard)} % of ${String(item['id'])}, in Redis it is ${String(item['percent_complete'])}`)
    }
  }
}
