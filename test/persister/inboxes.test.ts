// Every inbox against the one contract.

import t, { type Test } from 'tap'
import type { Inbox, Refusal } from '../../src/persister/inbox.ts'
import { createPostgresSink } from '../../src/persister/postgres-sink.ts'
import { SinkError, type Sink } from '../../src/persister/sink.ts'
import { inboxContract, type InboxUnderTest } from '../contract/inbox.ts'
import { clear, postgres, rest, rowOf, supabase, userOf } from './inbound-support.ts'

const acme = await userOf('acme')

async function over (sink: Sink): Promise<InboxUnderTest> {
  await clear()
  if (sink.inbox === undefined) throw new Error(`${sink.name} has no inbox`)
  return {
    sink: sink as Sink & { inbox: Inbox },
    async insert (id, registration = {}) { await acme.from('bulk_jobs').insert({ tenant_id: 'acme', id, ...registration }).throwOnError() },
    async ask (id, requested_state) { await acme.from('bulk_jobs').update({ requested_state }).eq('id', id).throwOnError() },
    async tell (job_id, type, data) { await acme.from('job_events').insert({ tenant_id: 'acme', job_id, type, data, origin: 'app' }).throwOnError() },
    async answerOf (id) {
      const row = await rowOf(id) ?? {}
      return { pending: row['pending'] === true, requested_state: row['requested_state'] as string | null, refused: row['refused'] as Refusal | null }
    }
  }
}

t.test('supabase', async (t) => { inboxContract(t, () => over(supabase())) })

t.test('postgres', async (t) => {
  inboxContract(t, async (t: Test) => {
    const sink = createPostgresSink({ url: postgres.url })
    t.teardown(() => sink.stop())
    return await over(sink)
  })
})

t.test('supabase: what looks like success is none', async (t) => {
  t.teardown(() => { rest.fault = null })
  const { sink: { inbox } } = await over(supabase())
  const { signal } = new AbortController()
  for (const fault of ['empty', { status: 404, body: '[]' }] as const) {
    rest.fault = () => fault
    for (const call of [inbox.pending(1, signal), inbox.confirm({ requests: [], events: [] }, signal)]) {
      const error = await call.then(() => null, (error: unknown) => error)
      t.match(error, { fault: 'configuration' })
      t.ok(error instanceof SinkError)
    }
  }
})
