// A client whose socket, clock, token and HTTP answers are the test's.

import { createClient } from '../../src/client/index.ts'
import type { ClientOptions } from '../../src/client/index.ts'
import { fakeClock, fakeSockets, fakeWake, snapshot, turn } from './fakes.ts'

export type Answer = { status: number, body?: object, headers?: Record<string, string> } | Error

export function setup (options: Partial<ClientOptions> = {}) {
  const { made, WebSocket } = fakeSockets()
  const clock = fakeClock()
  const { wake, listeners, onWake } = fakeWake()
  const asked: { url: string, authorization: string | null }[] = []
  const world = { answer: { status: 200, body: {} } as Answer, token: 'tok', random: 0.5 }
  const client = createClient({
    url: 'http://gateway:8765',
    getToken: () => world.token,
    WebSocket,
    clock,
    onWake,
    random: () => world.random,
    async fetch (input, init) {
      asked.push({ url: String(input), authorization: new Headers(init?.headers).get('authorization') })
      if (world.answer instanceof Error) throw world.answer
      const { status, body = {}, headers = {} } = world.answer
      return new Response(JSON.stringify(body), { status, headers })
    },
    ...options
  })
  return { client, made, clock, wake, wakeListeners: listeners, asked, world, socket: () => made.at(-1)! }
}

/** A client that watches job_1 and has its first snapshot. */
export async function live (options: Partial<ClientOptions> = {}) {
  const all = setup(options)
  const watch = all.client.watch('job_1')
  await turn()
  all.socket().open()
  all.socket().begins(snapshot())
  return { ...all, watch }
}
