// The order in which one drain's changes reach clients: nothing after a final event, progress before the change of state that
// follows it, and no message whose seq runs ahead of what was sent.

import t from 'tap'
import { encodeUpdate, type Update } from '../../src/gateway/encode.ts'
import type { StoredJob } from '../../src/protocol/job.ts'
import type { LoggedEvent } from '../../src/protocol/logged-event.ts'
import type { JobState, TerminalJobState } from '../../src/protocol/states.ts'
import { storedItem, storedJob } from './stored.ts'

const BEFORE = storedJob()
const DONE = { completed: 1, failed: 0, retryable: 0, skipped: 0, canceled: 0, processing: 0, pending: 0 }

type Draft = { event: 'state', prior: JobState, next: JobState } | { event: 'item' } | { event: 'final', state: TerminalJobState }

/** Types and seqs of what is sent, and in brackets what is held, when a drain logged `drafts` and ended with `job`. */
function sent (drafts: Draft[], job: Partial<StoredJob>, progress: string[] = []): string[] {
  const events: LoggedEvent[] = drafts.map((draft, n) => {
    const envelope = { seq: n + 1, ts: 1_000, cid: 'c', rev: 2 }
    if (draft.event === 'state') return { ...envelope, event: 'state_changed', prior: draft.prior, next: draft.next, forced: false, reason: null }
    if (draft.event === 'final') return { ...envelope, event: 'final', state: draft.state, reason: null }
    return { ...envelope, event: 'item', name: 'completed', item: storedItem('i') }
  })
  const update: Update = {
    type: 'update',
    tenant_id: 'acme',
    job_id: 'j',
    epoch: 1_000,
    seq_from: 1,
    seq_to: events.length,
    job: storedJob({ seq: events.length, rev: 2, ...job }),
    registration: null,
    events,
    progress: progress.map(id => ({ ts: 1_000, cid: 'c', item: storedItem(id) }))
  }
  const { frames, due, items } = encodeUpdate(update, 'video', BEFORE)
  const now = frames.map(({ text }) => {
    const { type, seq } = JSON.parse(text) as { type: string, seq: number }
    return `${type.replace('job.', '')} ${seq}`
  })
  return [...now, ...items.map(({ item }) => `(item ${item.id})`), ...due ? ['(progress)'] : []]
}

t.test('items, then one progress', async t => {
  t.same(sent([{ event: 'item' }, { event: 'item' }], { counted: DONE }), ['video.completed 1', 'video.completed 2', '(progress)'])
})

t.test('progress of items and of the job that no event waits for is held', async t => {
  t.same(sent([{ event: 'item' }], { counted: DONE, partial: 4_000 }, ['x']), ['video.completed 1', '(item x)', '(progress)'])
  t.same(sent([], { partial: 4_000 }, ['x']), ['(item x)', '(progress)'])
})

t.test('a change of state first lets out the progress before it', async t => {
  t.same(sent([{ event: 'item' }, { event: 'state', prior: 'running', next: 'pausing' }], { counted: DONE }),
    ['video.completed 1', 'progress 1', 'state_changed 2'])
  t.same(sent([{ event: 'state', prior: 'running', next: 'pausing' }], { reported: { completed: 5, failed: null, skipped: null, canceled: null } }),
    ['progress 0', 'state_changed 1'], 'progress of a report, which is no event')
})

t.test('a change of state before the items', async t => {
  t.same(sent([{ event: 'state', prior: 'pending', next: 'running' }, { event: 'item' }], { counted: DONE }),
    ['state_changed 1', 'video.completed 2', '(progress)'])
})

t.test('when processing time begins to run, clients hear of it', async t => {
  t.same(sent([{ event: 'state', prior: 'pending', next: 'running' }], { started_at: 2_000 }), ['state_changed 1', '(progress)'])
})

t.test('nothing follows the end', async t => {
  t.same(sent([
    { event: 'item' },
    { event: 'state', prior: 'running', next: 'completing' },
    { event: 'state', prior: 'completing', next: 'completed' },
    { event: 'final', state: 'completed' }
  ], { counted: DONE, state: 'completed', proc_since: null }, ['x']), [
    'video.completed 1', 'progress 1', 'state_changed 2', 'video.progress 2', 'state_changed 3', 'completed 4'
  ])
})

t.test('what does not show is not told', async t => {
  t.same(sent([], {}), [])
})
