// The judge of a chaos run: reads what it recorded and names every violation.
//
//   npx node test/chaos/check.ts <file.jsonl>     exit 0 = none, 1 = violations, 2 = the file cannot be judged

import { walkClient, type ClientWalk, type Stats } from './check-client.ts'
import { checkJob, checkLast, type Final } from './check-final.ts'
import { walkTenant, type TenantWalk } from './check-tenant.ts'
import { readRecord, type Line } from './record.ts'

const SHOWN_MAX = 40

export interface Verdict {
  violations: string[]
  stats: Stats & { clients: number, tenant_clients: number, rss_bytes_max: number }
}

/** @throws Error when there is nothing to judge: a run that did not begin */
export function checkRun (lines: readonly Line[]): Verdict {
  const run = lines.find(line => line.k === 'run')
  if (run === undefined) throw new Error('the record has no line "run": nothing began')
  const { rules } = run
  const violations: string[] = []
  const fault = (text: string): void => { violations.push(text) }
  const positions = createPositions(fault)
  const walks = new Map(run.clients.map(({ client, job }): [number, ClientWalk] => {
    return [client, walkClient({ client, job, rules, fault, saw: (epoch, seq, what) => positions.saw(job, epoch, seq, what) })]
  }))
  const jobs = new Set(run.expected.map(({ job }) => job))
  const tenants = new Map(run.tenant_clients.map((client): [number, TenantWalk] => {
    return [client, walkTenant({ client, jobs, rules, fault })]
  }))
  const finals = new Map<string, Final>()
  let rss = 0
  let ended = false
  for (const line of lines) {
    if ('client' in line) (walks.get(line.client) ?? tenants.get(line.client))?.take(line)
    else if (line.k === 'final') finals.set(line.job, line)
    else if (line.k === 'note') fault(line.what)
    else if (line.k === 'rss') rss = Math.max(rss, line.bytes)
    else if (line.k === 'end') {
      ended = true
      for (const refused of line.refused) fault(`the SDK did not send: ${refused}`)
    }
  }
  if (!ended) fault('the run did not come to its end')
  for (const final of finals.values()) positions.log(final)
  for (const expected of run.expected) {
    const final = finals.get(expected.job)
    if (final === undefined) fault(`nothing is recorded of the end of ${expected.job}`)
    else checkJob(expected, final, fault)
  }
  const watched = { clients: walks.size, tenant_clients: tenants.size, rss_bytes_max: rss }
  const stats = { frames: 0, connections: 0, resumed: 0, snapshots: 0, resets: 0, away_ms_max: 0, ...watched }
  for (const { last, stats: own } of walks.values()) {
    const final = finals.get(last.job)
    if (final !== undefined) checkLast(last, final, fault)
    const { away_ms_max: awayMs, ...counts } = own
    stats.away_ms_max = Math.max(stats.away_ms_max, awayMs)
    for (const name of Object.keys(counts) as (keyof typeof counts)[]) stats[name] += counts[name]
  }
  for (const walk of tenants.values()) {
    walk.end(finals.values())
    stats.frames += walk.frames
    stats.connections += walk.connections
  }
  if (rss > rules.rss_bytes_max) fault(`a gateway took ${mib(rss)} MiB, the bound is ${mib(rules.rss_bytes_max)}`)
  return { violations, stats }
}

/** One event stands at a position of a job, whoever saw it. */
function createPositions (fault: (text: string) => void) {
  const seen = new Map<string, string>()
  function saw (job: string, epoch: number, seq: number, what: string): void {
    const at = `${job} ${epoch}.${seq}`
    const before = seen.get(at)
    if (before === undefined) seen.set(at, what)
    else if (before !== what) fault(`${at} is ${JSON.stringify(what)} to one and ${JSON.stringify(before)} to another`)
  }
  return {
    saw,
    /** The log's own position has the job's last epoch. What it got in an older one has no position that clients could have seen. */
    log ({ job, view, log }: Final): void {
      if (view === null) return
      for (const { seq, what } of log) saw(job, Number(view['epoch']), seq, what)
    }
  }
}

export function summaryOf ({ violations, stats }: Verdict): string {
  const { clients, tenant_clients: tenants, connections, resumed, resets, frames, away_ms_max: awayMs, rss_bytes_max: rss } = stats
  const watched = `${clients} clients and ${tenants} of the tenant, ${connections} connections (${resumed} resumed)`
  const numbers = `${watched}, ${resets} resets, ${frames} frames, away for ${Math.round(awayMs)} ms and ${mib(rss)} MiB at most`
  if (violations.length === 0) return `no violation: ${numbers}`
  const shown = violations.slice(0, SHOWN_MAX).map(text => `  ${text}`)
  if (violations.length > SHOWN_MAX) shown.push(`  … and ${violations.length - SHOWN_MAX} more`)
  return [`${violations.length} violations: ${numbers}`, ...shown].join('\n')
}

function mib (bytes: number): number {
  return Math.round(bytes / 1_048_576)
}

function main (files: readonly string[]): number {
  if (files.length !== 1 || files[0] === undefined || files[0].startsWith('-')) {
    console.error('usage: npx node test/chaos/check.ts <file.jsonl>')
    return 2
  }
  try {
    const verdict = checkRun(readRecord(files[0]))
    console.log(summaryOf(verdict))
    return verdict.violations.length === 0 ? 0 : 1
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    return 2
  }
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2))
