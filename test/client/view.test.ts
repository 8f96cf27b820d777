// Held here: the client's half of H3, H4, H6 and H7: whatever arrives, the view never goes back and never hides a gap.

import t from 'tap'
import fc from 'fast-check'
import type { JobMessage } from '../../src/protocol/messages.ts'
import { applyMessage, EMPTY_VIEW, ITEMS_MAX, MESSAGES_MAX } from '../../src/client/view.ts'
import type { Verdict, WatchView } from '../../src/client/view.ts'
import { item, message, METRICS, snapshot } from './fakes.ts'

function play (messages: JobMessage[], from: WatchView = EMPTY_VIEW): { view: WatchView, verdicts: Verdict[] } {
  const verdicts: Verdict[] = []
  let view = from
  for (const next of messages) {
    const applied = applyMessage(view, next)
    view = applied.view
    verdicts.push(applied.verdict)
  }
  return { view, verdicts }
}

t.test('nothing is shown before a snapshot', async t => {
  const { view, verdicts } = play([message('job.progress', 1, METRICS), message('job.stalled', 2)])
  t.same(verdicts, ['ignored', 'ignored'])
  t.equal(view, EMPTY_VIEW)
})

t.test('a snapshot, then the flow of a job to its end', async t => {
  const { view, verdicts } = play([
    snapshot({ state: 'pending', seq: 0, rev: 1, started_at: null }),
    message('job.state_changed', 1, { prior_state: 'pending', new_state: 'running', reason: 'worker_assigned', forced: false }, 2),
    message('video.started', 2, item('v1'), 3),
    message('video.progress', 2, item('v1', { percent_complete: 40 }), 4),
    message('job.progress', 2, { ...METRICS, percent_complete: 51, items_pending: 47 }, 5),
    message('video.completed', 3, item('v1', { state: 'completed', percent_complete: 100 }), 6),
    message('job.state_changed', 4, { prior_state: 'running', new_state: 'completed', reason: 'all', forced: false }, 7),
    message('job.completed', 5, { ...METRICS, state: 'completed', reason: 'all', percent_complete: 100 }, 7)
  ])
  t.same(verdicts, ['applied', 'applied', 'applied', 'applied', 'applied', 'applied', 'applied', 'ended'])
  t.match(view.job, { state: 'completed', reason: 'all', percent_complete: 100, seq: 5, rev: 7, epoch: 1000 })
  t.ok(view.job!.started_at)
  t.ok(view.job!.ended_at)
  t.match(view.items, [{ id: 'v1', state: 'completed' }])
  t.equal(view.items_seen, 1)
  t.equal(view.messages.length, 8)
})

t.test('conditions', async t => {
  const { view } = play([snapshot(), message('job.rate_limited', 2, { retry_at: 'x', reason: 'quota' }), message('job.stalled', 3)])
  t.match(view.job, { rate_limited: true, retry_at: 'x', stalled: true })
  const { view: later } = play([
    message('job.rate_limit_cleared', 4), message('job.recovered', 5), message('job.deadline_exceeded', 6, { processing_deadline_ms: 1 })
  ], view)
  t.match(later.job, { rate_limited: false, retry_at: null, stalled: false, deadline_exceeded: true })
  const stalled = play([message('job.stalled', 7), message('job.state_changed', 8, { new_state: 'pausing', reason: null })], later).view
  t.equal(stalled.job!.stalled, false, 'leaving running clears it without an event')
})

t.test('a repeat is ignored, a jump is a gap', async t => {
  const { view } = play([snapshot({ seq: 5, rev: 9 })])
  const verdictOf = (next: JobMessage): Verdict => {
    const { view: after, verdict } = applyMessage(view, next)
    if (verdict !== 'applied') t.equal(after, view, 'the view stays the same object')
    return verdict
  }
  t.equal(verdictOf(message('job.stalled', 5, {}, 9)), 'ignored')
  t.equal(verdictOf(message('job.stalled', 6, {}, 10)), 'applied')
  t.equal(verdictOf(message('job.stalled', 7, {}, 11)), 'gap')
  t.equal(verdictOf(message('job.progress', 5, METRICS, 9)), 'applied')
  t.equal(verdictOf(message('job.progress', 5, METRICS, 8)), 'ignored')
  t.equal(verdictOf(message('job.progress', 4, METRICS, 12)), 'ignored')
  t.equal(verdictOf(message('job.progress', 6, METRICS, 12)), 'gap')
  t.equal(verdictOf(message('video.progress', 6, item('v'), 12)), 'gap')
})

t.test('logged events go by seq alone: their rev may lag behind the view, which never goes back', t => {
  const { view, verdicts } = play([
    snapshot({ seq: 5, rev: 20, items_completed: 3 }),
    message('job.stalled', 6, {}, 12),
    message('video.completed', 7, item('a'), 12)
  ])
  t.same(verdicts, ['applied', 'applied', 'applied'])
  t.match(view.job, { seq: 7, rev: 20, stalled: true, items_completed: 3 })
  t.equal(applyMessage(view, message('job.progress', 7, { ...METRICS, items_completed: 1 }, 19)).verdict, 'ignored')
  const corrected = applyMessage(view, message('job.progress', 7, { ...METRICS, items_completed: 4, stalled: false }, 20))
  t.equal(corrected.verdict, 'applied', 'the same rev is the newest there is')
  t.match(corrected.view.job, { seq: 7, rev: 20, stalled: false, items_completed: 4 })
  t.equal(applyMessage(corrected.view, message('job.progress', 7, { ...METRICS, items_completed: 5 }, 21)).view.job!.items_completed, 5)
  t.end()
})

t.test('types that are not known count in the position and change nothing else', async t => {
  const { view, verdicts } = play([snapshot(), message('job.glorified', 2), message('video.polished', 3, item('v1')), message('job.stalled', 4)])
  t.same(verdicts, ['applied', 'applied', 'applied', 'applied'])
  t.same(view.items, [])
  t.equal(view.job!.stalled, true)
})

t.test('which snapshot is taken', async t => {
  const { view } = play([snapshot({ epoch: 1000, seq: 5, rev: 9 })])
  const take = (fields: object, reset = false) => applyMessage(view, snapshot(fields, { reset }))
  t.equal(take({ epoch: 1000, seq: 4, rev: 8 }).view, view, 'an older one of the same epoch says nothing new')
  t.equal(take({ epoch: 1000, seq: 4, rev: 8 }).verdict, 'applied')
  t.equal(take({ epoch: 999, seq: 90, rev: 90 }).verdict, 'gap', 'one of the past is asked for again')
  t.equal(take({ epoch: 999, seq: 90, rev: 90 }, true).view.job!.epoch, 999, 'unless the server insists')
  t.equal(take({ epoch: 1000, seq: 4, rev: 8 }, true).view.job!.seq, 4)
  t.equal(take({ epoch: 1001, seq: 0, rev: 1 }).view.job!.epoch, 1001)
  t.equal(take({ epoch: 1000, seq: 6, rev: 10, state: 'failed', ended_at: 'x' }).verdict, 'ended')
})

t.test('items: the last logged first, progress in place, new ones counted', async t => {
  const { view } = play([
    snapshot({}, { items: [item('b'), item('a')], items_seen: 2 }),
    message('video.progress', 1, item('a', { percent_complete: 5 }), 2)
  ])
  t.same(view.items.map(({ id, percent_complete: percent }) => [id, percent]), [['b', 0], ['a', 5]])
  const later = play([message('video.completed', 2, item('a')), message('video.queued', 3, item('c')), message('video.failed', 4, item('d'))], view).view
  t.same(later.items.map(({ id }) => id), ['d', 'c', 'a', 'b'])
  t.equal(later.items_seen, 4)
  const partial = play([snapshot({}, { items: [item('z')], items_seen: 900 }), message('video.started', 2, item('y')), message('video.queued', 3, item('x'))])
  t.equal(partial.view.items_seen, 901, 'only what is surely new is counted when not all are known')
})

t.test('lists are bounded', async t => {
  const many = Array.from({ length: ITEMS_MAX + 20 }, (_, i) => message('video.started', i + 2, item(`v${i}`)))
  const { view } = play([snapshot(), ...many])
  t.equal(view.items.length, ITEMS_MAX)
  t.equal(view.items[0]!.id, `v${ITEMS_MAX + 19}`)
  t.equal(view.messages.length, MESSAGES_MAX)
  t.equal(view.messages.at(-1), many.at(-1))
})

t.test('a control request is over when the state has left', async t => {
  const control = { request_id: 'r1', action: 'pause', acknowledged: true } as const
  const { view } = play([snapshot({ state: 'pausing', control }), message('job.state_changed', 2, { new_state: 'paused', reason: null })])
  t.same(view.job!.control, { request_id: null, action: 'pause', acknowledged: true })
})

t.test('duplicated and delayed messages never take the view back', async t => {
  const history = [snapshot({ seq: 0, rev: 1 }), ...Array.from({ length: 30 }, (_, i) =>
    i % 3 === 0 ? message('job.progress', Math.ceil(i / 3) * 2, METRICS, i + 2) : message('job.stalled', i - Math.floor(i / 3), {}, i + 2))]
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: history.length - 1 }), { maxLength: 200 }), picks => {
    let view: WatchView = play([history[0]!]).view
    for (const pick of picks) {
      const before = view.job!
      const { view: after, verdict } = applyMessage(view, history[pick]!)
      view = after
      if (after.job!.seq < before.seq || after.job!.rev < before.rev) throw new Error(`back from ${before.seq} to ${after.job!.seq}`)
      if (after.job!.seq > before.seq + 1) throw new Error('a gap was hidden')
      if (verdict === 'gap' && after.job !== before) throw new Error('a gap changed the view')
    }
  }))
  t.pass('no history takes it back')
})
