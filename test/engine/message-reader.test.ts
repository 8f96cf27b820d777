// What comes on a subscriber connection, however it is cut: messages are heard, all else is passed on whole, and nothing is lost.

import { once } from 'node:events'
import t from 'tap'
import fc from 'fast-check'
import type { Redis } from 'ioredis'
import { connect } from '../../src/engine/connections.ts'
import { createReader, readMessages } from '../../src/engine/message-reader.ts'
import { startRedis } from '../support/redis.ts'
import { randomPrefix } from '../support/topology.ts'
import { until } from '../support/wait.ts'

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`
const messageOf = (sign: string, channel: string, text: string): string => `${sign}3\r\n${bulk('message')}${bulk(channel)}${bulk(text)}`

const anyText = fc.string({ unit: 'grapheme', maxLength: 40 })
const anyMessage = fc.tuple(fc.constantFrom('>', '*'), anyText, anyText)
const anyOther = fc.letrec<{ value: string }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom('+OK\r\n', '-ERR no\r\n', ':12\r\n', ':-1\r\n', '_\r\n', '#t\r\n', ',1.5\r\n', '(123\r\n', '$-1\r\n', '*-1\r\n', '*0\r\n'),
    anyText.map(bulk),
    anyText.map(text => bulk(text).replace('$', '=')),
    fc.tuple(fc.constantFrom('*', '>', '~'), fc.array(tie('value'), { maxLength: 4 })).map(([sign, all]) => `${sign}${all.length}\r\n${all.join('')}`),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map(all => `%${all.length}\r\n${all.flat().join('')}`),
    fc.constantFrom('subscribe', 'unsubscribe', 'messages', 'smessage').map(word => `>3\r\n${bulk(word)}${bulk('a')}:1\r\n`)
  )
})).value

t.test('messages are heard, the rest is passed on whole and in order, wherever it is cut', async t => {
  fc.assert(fc.property(fc.array(fc.oneof(anyMessage, anyOther)), fc.infiniteStream(fc.integer({ min: 1, max: 30 })), (values, cuts) => {
    const happened: string[] = []
    const read = createReader((channel, text) => happened.push(`heard ${channel} ${text}`), bytes => happened.push(String(bytes)))
    const bytes = Buffer.from(values.map(value => typeof value === 'string' ? value : messageOf(...value)).join(''))
    for (let at = 0; at < bytes.length;) {
      const to = at + cuts.next().value!
      read(bytes.subarray(at, to))
      at = to
    }
    t.strictSame(happened, values.map(value => typeof value === 'string' ? value : `heard ${value[1]} ${value[2]}`))
  }), { numRuns: 300 })
})

t.test('what is no RESP is left to ioredis, which says so', async t => {
  const passed: string[] = []
  createReader(() => {}, bytes => passed.push(String(bytes)))(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
  t.same(passed, ['HTTP/1.1 400 Bad Request\r\n\r\n'])
})

t.test('a connection and the one that replaces it', async t => {
  const server = await startRedis()
  const connections = connect(server.url)
  t.teardown(async () => {
    connections.close()
    await server.stop()
  })
  const client = connections.open({ maxRetriesPerRequest: null }) as Redis
  const heard: string[] = []
  let theirs = 0
  client.on('message', () => theirs++)
  readMessages(client, (channel, text) => heard.push(`${channel} ${text}`))
  const name = randomPrefix()
  await client.subscribe(name)
  await connections.command.publish(name, 'one\r\n€')
  await until(() => heard.length === 1, { what: 'a message' })
  t.same(heard, [`${name} one\r\n€`])

  // Another connection, of which the reader is told by ioredis alone.
  const again = once(client, 'ready')
  client.disconnect(true)
  await again
  await until(async () => await connections.command.publish(name, 'two') === 1, { what: 'it is subscribed again' })
  await until(() => heard.length === 2, { what: 'a message of the new connection' })
  t.equal(await client.unsubscribe(name), 0, 'answers come as ever')
  t.equal(theirs, 0, 'ioredis had none of them to read')
})
