// Held here: the client's half of H6, for any history. A small server that keeps a log loses messages, cuts lines, forgets its
// log or its epoch; the client hears every event once and in order, or a snapshot, and in the end sees what the server has.

import t from 'tap'
import fc from 'fast-check'
import type { JobMessage } from '../../src/client/index.ts'
import { parseCursor } from '../../src/protocol/cursor.ts'
import { item, message, METRICS, snapshot, turn } from './fakes.ts'
import type { FakeSocket } from './fakes.ts'
import { setup } from './support.ts'

/** Each of its events counts one up, so that the metrics of now are those of `rev`. */
function fakeServer (socket: () => FakeSocket) {
  let epoch = 1000
  let rev = 1
  let log: JobMessage[] = []
  let seq = 0
  let oldest = 1
  let read = 0
  let of: FakeSocket | undefined
  let live = false
  let loses = false

  const now = () => ({ ...METRICS, items_completed: rev })
  function send (...messages: object[]): void {
    if (live && of === socket()) of.says(...messages)
  }

  function subscribe ({ id, since }: { id?: string, since?: unknown }): void {
    live = true
    const from = typeof since === 'string' ? parseCursor(since) : null
    const resumed = from !== null && from.epoch === epoch && from.seq + 1 >= oldest
    send({ type: 'ack', id, action: 'subscribe', job_id: 'job_1', data: { resumed } })
    if (resumed) {
      // what is read before a position is sent again now and then: here always one more
      send(...log.filter(event => event.seq >= from.seq), message('job.progress', seq, now(), rev))
    } else {
      send(snapshot({ ...now(), epoch, seq, rev }, { reset: from !== null }))
    }
  }

  return {
    get state () { return { epoch, seq, items_completed: rev } },
    /** Answers what was sent since. */
    answer () {
      if (of !== socket()) {
        of = socket()
        read = 0
        live = false
      }
      while (read < of.sent.length) {
        const { action, ...request } = of.sent[read++]!
        if (action === 'subscribe') subscribe(request)
        if (action === 'unsubscribe') live = false
      }
    },
    event () {
      const event = message('video.queued', ++seq, item(`v${seq}`), ++rev)
      // One drain logs several: all carry the rev it ended with.
      log.push({ ...event, rev: rev - seq % 2 })
      if (!loses) send(event)
      loses = false
    },
    progress () {
      rev++
      send(message('job.progress', seq, now(), rev))
    },
    lose () { loses = true },
    trim () {
      log = log.slice(-2)
      oldest = log[0]?.seq ?? seq + 1
    },
    fail () {
      epoch++
      log = []
      seq = 0
      oldest = 1
      socket().end(1006)
    },
    cut () { socket().end(1006) }
  }
}

const ACTIONS = ['event', 'event', 'event', 'progress', 'lose', 'trim', 'fail', 'cut', 'wait'] as const

t.test('whatever happens, every event once and in order or a snapshot, and the end is right', async t => {
  await fc.assert(fc.asyncProperty(fc.array(fc.constantFrom(...ACTIONS), { maxLength: 60 }), async actions => {
    const { client, socket, clock } = setup()
    const watch = client.watch('job_1')
    let last = 0
    watch.onMessage(({ type, seq }) => {
      if (type === 'video.queued' && seq !== last + 1) throw new Error(`${seq} after ${last}`)
      last = seq
    })
    await turn()
    const server = fakeServer(socket)
    socket().open()
    const settle = async () => {
      for (let i = 0; i < 6; i++) {
        await clock.pass(2000)
        if (!socket().closed && socket().onopen !== null && socket().sent.length === 0) socket().open()
        server.answer()
      }
    }
    server.answer()
    for (const action of actions) {
      if (action === 'wait') await settle()
      else server[action]()
      server.answer()
    }
    await settle()
    server.event()
    await settle()
    server.progress()
    await settle()
    const { job, connection } = watch.getSnapshot()
    client.close()
    if (connection !== 'live') throw new Error(connection)
    const { epoch, seq, items_completed: done } = server.state
    if (job!.epoch !== epoch || job!.seq !== seq || job!.items_completed !== done) {
      throw new Error(`${job!.epoch}.${job!.seq} ${job!.items_completed}, not ${epoch}.${seq} ${done}`)
    }
  }), { numRuns: 150 })
  t.pass('no history breaks it')
})
