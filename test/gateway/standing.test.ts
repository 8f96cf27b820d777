// A room's standing is brought up to date column by column: one that was left out would show clients an old value for good.

import t from 'tap'
import { moveTo, standingAt } from '../../src/gateway/standing.ts'
import type { StoredJob } from '../../src/protocol/job.ts'
import { sampleJob, sampleRegistration } from '../protocol/samples.ts'

/** Another value in every column. */
function changed<T> (value: T): T {
  if (typeof value === 'number') return value + 1 as T
  if (typeof value === 'boolean') return !value as T
  if (typeof value === 'string') return `${value}x` as T
  if (value === null) return 1 as T
  return Object.fromEntries(Object.entries(value as object).map(([name, column]) => [name, changed(column)])) as T
}

const JOB = sampleJob()
const NEXT: StoredJob = { ...changed(JOB), tenant_id: JOB.tenant_id, id: JOB.id }

t.test('every column but those that name the job moves, there and back', async t => {
  const [registration, other] = [sampleRegistration(), sampleRegistration({ title: 'other' })]
  const standing = standingAt(JOB, registration)
  moveTo(standing, NEXT, other)
  t.strictSame(standing, { job: NEXT, registration: other })
  moveTo(standing, JOB, registration)
  t.strictSame(standing, { job: JOB, registration })
})

t.test('it shares no part with the job it was moved to', async t => {
  const standing = standingAt(JOB, sampleRegistration())
  moveTo(standing, NEXT, sampleRegistration())
  for (const name of ['counted', 'reported', 'initial', 'control', 'pace'] as const) t.not(standing.job[name], NEXT[name], name)
})
