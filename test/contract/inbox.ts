// What every inbox of a sink must do: give what apps wrote, in order, until it is confirmed; and ring when there is more. Another
// database that passes this suite can be written to by apps.

import type { Test } from 'tap'
import type { Confirmed, Doorbell, Inbox, Refusal } from '../../src/persister/inbox.ts'
import type { Sink } from '../../src/persister/sink.ts'
import { until } from '../support/wait.ts'
import { aJob, anEvent, batchWith } from './sink.ts'

export interface InboxUnderTest {
  sink: Sink & { inbox: Inbox }
  /** As an app does it. */
  insert (id: string, registration?: { title?: string, items_total?: number, metadata?: object }): Promise<void>
  ask (id: string, word: 'pause' | 'resume' | 'cancel'): Promise<void>
  tell (job: string, type: string, data: object): Promise<void>
  /** What an app can see of the answer to a job's newest request. */
  answerOf (id: string): Promise<{ pending: boolean, requested_state: string | null, refused: Refusal | null }>
}

const REFUSED: Refusal = { code: 'invalid_field', detail: 'odd', action: 'register', at: '2026-11-27T00:00:00.000Z' }

/** @param create a fresh and empty one for the tenant acme; torn down with the test */
export function inboxContract (t: Test, create: (t: Test) => Promise<InboxUnderTest>): void {
  const { signal } = new AbortController()
  const taken = (tenant_id: string, id: string, requested_rev: number, refused: Refusal | null = null): Confirmed['requests'][number] =>
    ({ tenant_id, id, requested_rev, refused })

  t.test('nothing waits at first; a job with all that a registration says, and its place and identity', async (t) => {
    const { sink: { inbox }, insert } = await create(t)
    t.same(await inbox.pending(10, signal), { requests: [], events: [] })
    const before = Date.now()
    await insert('bare')
    await insert('full', { title: 'Photos', items_total: 3, metadata: { album: [7, 'ü', null] } })
    const { requests: [bare, full] } = await inbox.pending(10, signal)
    t.match(bare, { tenant_id: 'acme', id: 'bare', run: 0, requested_rev: 1, handled_rev: 0, requested_state: null, title: null, item_kind: 'video', items_total: 0 })
    t.match(full, { id: 'full', title: 'Photos', items_total: 3, metadata: { album: [7, 'ü', null] } })
    t.ok(Math.abs((full?.created_ms ?? 0) - before) < 60_000)
    t.ok((bare?.request_seq ?? 0) < (full?.request_seq ?? 0))
    t.not(bare?.request_key, full?.request_key)
    t.match((await inbox.pending(10, signal)).requests[0], { request_key: bare?.request_key, request_seq: bare?.request_seq }, 'as long as it waits')
  })

  t.test('pages in the order of writing; an event brings the job that it needs', async (t) => {
    const { sink: { inbox }, insert, tell, ask } = await create(t)
    for (const id of ['a', 'b', 'c']) await insert(id)
    for (const job of ['c', 'a', 'c']) await tell(job, 'job.progress', { items_completed: 1 })
    const page = await inbox.pending(1, signal)
    t.same(page.requests.map(({ id }) => id), ['a', 'c'])
    t.same(page.requests.map(({ behind_seq: seq }) => seq), [null, null])
    t.match(page.events, [{ tenant_id: 'acme', job_id: 'c', type: 'job.progress', data: { items_completed: 1 }, correlation_id: null }])
    const all = await inbox.pending(10, signal)
    t.same(all.events.map(({ job_id: job }) => job), ['c', 'a', 'c'])
    t.same(all.events.map(({ seq }) => seq), all.events.map(({ seq }) => seq).toSorted((a, b) => a - b))
    await ask('c', 'pause')
    await tell('c', 'job.heartbeat', {})
    const { requests: [, c] } = await inbox.pending(1, signal)
    t.match(c, { id: 'c', requested_state: 'pause', behind_seq: all.events[2]?.seq }, 'a request names the event that it comes behind, also beyond the page')
  })

  t.test('what is confirmed waits no longer, twice is once, and the app sees what was refused', async (t) => {
    const { sink: { inbox }, insert, tell, answerOf } = await create(t)
    await insert('good')
    await insert('bad')
    await tell('good', 'job.heartbeat', {})
    const { events: [event] } = await inbox.pending(10, signal)
    const done: Confirmed = {
      requests: [taken('acme', 'good', 1), taken('acme', 'bad', 1, REFUSED)],
      events: [{ tenant_id: 'acme', job_id: 'good', seq: event?.seq ?? 0, refused: null }]
    }
    await inbox.confirm(done, signal)
    t.same(await inbox.pending(10, signal), { requests: [], events: [] })
    await inbox.confirm(done, signal)
    await inbox.confirm({ requests: [taken('acme', 'nobody', 1)], events: [{ tenant_id: 'acme', job_id: 'good', seq: 1, refused: null }] }, signal)
    t.match([await answerOf('good'), await answerOf('bad')], [{ pending: false, refused: null }, { pending: false, refused: REFUSED }])
    await inbox.maintain(signal)
    await inbox.maintain(signal)
    t.match(await answerOf('bad'), { refused: REFUSED }, 'kept for a while')
  })

  t.test('the last word counts: a newer request outlives the confirmation of the older, and wipes its refusal', async (t) => {
    const { sink: { inbox }, insert, ask, answerOf } = await create(t)
    await insert('a')
    await ask('a', 'pause')
    t.match((await inbox.pending(10, signal)).requests, [{ requested_rev: 2, requested_state: 'pause', handled_rev: 0 }])
    await ask('a', 'cancel')
    await inbox.confirm({ requests: [taken('acme', 'a', 2, { ...REFUSED, action: 'pause' })], events: [] }, signal)
    t.match((await inbox.pending(10, signal)).requests, [{ requested_rev: 3, requested_state: 'cancel', handled_rev: 2, behind_seq: null }])
    t.match(await answerOf('a'), { pending: true, requested_state: 'cancel', refused: null })
    await inbox.confirm({ requests: [taken('acme', 'a', 3)], events: [] }, signal)
    t.match(await answerOf('a'), { pending: false, requested_state: null, refused: null })
  })

  t.test('what Headway writes asks nothing; a row keeps its request while Headway writes it', async (t) => {
    const { sink, insert } = await create(t)
    await sink.persist(batchWith({ jobs: [aJob('own', 1)], events: [anEvent('own', 1)] }), signal)
    t.same(await sink.inbox.pending(10, signal), { requests: [], events: [] })
    await insert('a')
    await sink.persist(batchWith({ jobs: [aJob('a', 1)] }), signal)
    t.match(await sink.inbox.pending(10, signal), { requests: [{ id: 'a', requested_rev: 1, handled_rev: 0 }], events: [] })
  })

  t.test('the bell: rings once it hangs and for each thing an app writes, never for what Headway writes; hung anew when it missed one', async (t) => {
    const { sink, insert, ask, tell } = await create(t)
    let rings = 0
    const reasons: string[] = []
    const bell: Doorbell = sink.inbox.createBell({ ring () { rings++ }, onRenewal (why) { reasons.push(why) } })
    t.teardown(() => bell.stop())
    const heard = async (what: string, act: () => Promise<void>): Promise<void> => {
      const before = rings
      await act()
      await until(() => rings > before, { what: `it rings for ${what}` })
    }
    t.equal(bell.live, false)
    await heard('what came before it hung', async () => { bell.start() })
    await until(() => bell.live)
    await heard('a job', async () => { await insert('a') })
    await heard('an event', async () => { await tell('a', 'job.heartbeat', {}) })
    const { requests, events } = await sink.inbox.pending(10, signal)
    const taken = { refused: null }
    const done = { requests: requests.map((one) => ({ ...one, ...taken })), events: events.map((one) => ({ ...one, ...taken })) }
    await sink.inbox.confirm(done, signal)
    const before = rings
    await sink.persist(batchWith({ jobs: [aJob('a', 1), aJob('b', 1)], events: [anEvent('a', 1)] }), signal)
    await heard('a request', async () => { await ask('a', 'pause') })
    t.equal(rings, before + 1, 'confirmations and rows of Headway came before it, and rang for nothing')
    const { renewals } = bell
    bell.missed()
    t.equal(bell.live, false)
    await until(() => bell.live && bell.renewals === renewals + 1)
    t.equal(reasons.length, 1)
    await heard('a job again', async () => { await insert('c') })
    await bell.stop()
    await bell.stop()
    t.equal(bell.live, false)
  })

  t.test('calls that are given up end', async (t) => {
    const { sink: { inbox } } = await create(t)
    await t.rejects(inbox.pending(1, AbortSignal.abort()))
    await t.rejects(inbox.confirm({ requests: [], events: [] }, AbortSignal.abort()))
  })
}
