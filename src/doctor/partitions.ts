// The deployment in Redis: how many partitions, whether each is whole, whether anybody drains them. --repair mends what can be mended.

import { auditPartitions, type JobFault, type PartitionAudit } from '../engine/audit.ts'
import type { Connections } from '../engine/connections.ts'
import { configKey, createKeys, type Keys } from '../engine/keys.ts'
import { PARTITIONS_CLUSTER, PARTITIONS_SINGLE } from '../engine/partitions.ts'
import { findingsOf, type Finding } from './finding.ts'

const { ok, warning, problem } = findingsOf('partitions')
/** Gateways note the time once a second, even at rest. */
const IDLE_MS_MAX = 10_000
const EXAMPLES_MAX = 3

/** @returns keys: of the number that is stored, or would be */
export async function examineConfigured (
  connections: Connections, prefix: string, wanted: number
): Promise<{ findings: Finding[], keys: Keys, exists: boolean }> {
  const stored = await connections.command.hget(configKey(prefix), 'partitions')
  const fallback = wanted || (connections.topology === 'cluster' ? PARTITIONS_CLUSTER : PARTITIONS_SINGLE)
  if (stored === null) {
    return { findings: [ok('deployment', `none yet at prefix ${prefix}: the first gateway makes it, of ${fallback} partitions`)], keys: createKeys(prefix, fallback), exists: false }
  }
  const count = Number(stored)
  if (!Number.isInteger(count) || count < 1 || count > 4096 || (count & (count - 1)) !== 0) {
    const found = problem('deployment', `${configKey(prefix)} says ${stored} partitions, which is no power of two`, {
      means: 'no gateway starts', advice: 'another program wrote it: choose another HEADWAY_PREFIX, or put the number back'
    })
    return { findings: [found], keys: createKeys(prefix, fallback), exists: false }
  }
  const keys = createKeys(prefix, count)
  if (wanted === 0 || wanted === count) return { findings: [ok('deployment', `${count} partitions at prefix ${prefix}`)], keys, exists: true }
  const found = problem('deployment', `HEADWAY_PARTITIONS is ${wanted}, and the deployment at prefix ${prefix} has ${count}`, {
    means: 'gateways and persisters with this setting do not start', advice: `set it to ${count} or leave it out; another number needs another HEADWAY_PREFIX`
  })
  return { findings: [found], keys, exists: true }
}

export async function examinePartitions (connections: Connections, keys: Keys, repair: boolean): Promise<Finding[]> {
  const audits = await auditPartitions({ connections, keys, mend: repair })
  const findings = [...audits.flatMap(audit => keysOf(audit, repair)), ...jobsOf(audits, repair), drainOf(audits)]
  const whole = audits.filter(({ word }) => word === 'whole').length
  if (whole === audits.length) findings.unshift(ok('keys', `all ${whole} partitions have their keys`))
  return findings
}

function keysOf ({ partition, word, missing, foreign, replaced, idle_ms: idleMs }: PartitionAudit, repair: boolean): Finding[] {
  const name = `partition ${partition}`
  if (word === 'moving') return [ok('keys', `${name} is on its way to another node: not looked at`)]
  if (word === 'newer_format') {
    return [problem('keys', `${name} was written by a newer build`, { means: 'this build neither reads nor mends it', advice: 'upgrade this machine' })]
  }
  if (foreign.length > 0) {
    return [problem('keys', `${name}: ${foreign.join(', ')} hold another type than Headway's`, {
      means: 'another program writes under this prefix; the partition stands still', advice: 'find it, give each its own prefix, and delete those keys'
    })]
  }
  if (word === 'absent') {
    return [warning('keys', `${name} was never made, or was wiped`, { means: 'jobs in it are gone; the next gateway makes it anew, and a persister puts jobs back', advice: 'start a gateway; if Redis was not meant to be wiped, see its log' })]
  }
  if (word === 'torn') {
    const found = `${name} lacks ${missing.join(', ')}`
    if (repair) return [ok('keys', `${found}: made anew`)]
    return [problem('keys', found, { means: 'it stands still: its events wait in Redis', advice: 'find out who deletes keys; headway doctor --repair makes them anew' })]
  }
  if (!replaced || idleMs < IDLE_MS_MAX) return []
  return [warning('keys', `${name} was written last under another Redis`, { means: 'a failover nobody has seen yet', advice: 'start a gateway: it gives a new epoch, and clients begin anew' })]
}

const MEANS: Record<JobFault, [found: string, means: string, advice: string]> = {
  unscheduled: ['jobs without a place in the agenda', 'their partition stands still at their next event, and their timers never fire', 'headway doctor --repair puts them back'],
  missing: ['places in the agenda without a job', 'their partition stands still at their next event or timer', 'headway doctor --repair takes them away; the database keeps what it has of those jobs'],
  headless: ['jobs without a header', 'nothing can be read of them, and their partition stands still', 'headway doctor --repair removes them; the database keeps what it has of those jobs'],
  unlisted: ['jobs without a place in the list', 'they run, and no list shows them', 'headway doctor --repair puts them back'],
  ghost: ['places in the list without a job', 'lists are read more slowly', 'headway doctor --repair takes them away'],
  misplaced: ['jobs in a partition that is not theirs', 'nobody finds them: another number of partitions once wrote here', 'let workers register them anew; then delete these keys'],
  newer_format: ['jobs written by a newer build', 'this build neither reads nor mends them', 'upgrade this machine']
}

function jobsOf (audits: readonly PartitionAudit[], repair: boolean): Finding[] {
  const faults = audits.flatMap(audit => audit.faults)
  const jobs = audits.reduce((sum, audit) => sum + audit.jobs, 0)
  if (faults.length === 0) return [ok('jobs', `${jobs} jobs, each in agenda and list`)]
  return [...new Set(faults.map(({ fault }) => fault))].map(fault => {
    const members = faults.filter(one => one.fault === fault).map(({ member }) => member)
    const [what, means, advice] = MEANS[fault]
    const found = `${members.length} ${what}: ${members.slice(0, EXAMPLES_MAX).join(', ')}${members.length > EXAMPLES_MAX ? ', …' : ''}`
    if (repair && fault !== 'misplaced' && fault !== 'newer_format') return ok('jobs', `${found}: mended`)
    return fault === 'ghost' || fault === 'unlisted' ? warning('jobs', found, { means, advice }) : problem('jobs', found, { means, advice })
  })
}

function drainOf (audits: readonly PartitionAudit[]): Finding {
  const seen = audits.filter(({ word, foreign }) => (word === 'whole' || word === 'torn') && foreign.length === 0)
  const oldest = Math.max(0, ...seen.map(({ idle_ms: idleMs }) => idleMs))
  const waiting = seen.reduce((sum, audit) => sum + audit.waiting, 0)
  if (oldest < IDLE_MS_MAX) return ok('drain', 'gateways are at work')
  return warning('drain', `a partition was last drained ${Math.round(oldest / 1000)} s ago; ${waiting} entries wait`, {
    means: 'no gateway runs, or none can drain it: events are kept and not applied', advice: 'start a gateway; if one runs, its log says what stops it (drain_torn, drain_held)'
  })
}
