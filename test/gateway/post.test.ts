// One write a socket and turn; the bytes are whole WebSocket frames, and shared.

import t from 'tap'
import { plainFrame } from '../../src/gateway/frame.ts'
import { createPost } from '../../src/gateway/post.ts'
import { createTally } from '../../src/gateway/tally.ts'
import { until } from '../support/wait.ts'

function wire () {
  const writes: Buffer[] = []
  return { writes, writable: true, writableLength: 0, write (bytes: Buffer) { writes.push(bytes); return true } }
}

/** The texts of unmasked text frames. */
function texts (bytes: Buffer): string[] {
  const found: string[] = []
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== 0x81) throw new Error(`no text frame begins at ${at}`)
    const short = bytes[at + 1]!
    let [head, length] = [2, short]
    if (short === 126) [head, length] = [4, bytes.readUInt16BE(at + 2)]
    else if (short === 127) [head, length] = [10, Number(bytes.readBigUInt64BE(at + 2))]
    found.push(bytes.toString('utf8', at + head, at + head + length))
    at += head + length
  }
  return found
}

t.test('frames of every length', t => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536, 70_000]) {
    const text = 'x'.repeat(length)
    t.same(texts(plainFrame(text).bytes), [text])
  }
  t.same(texts(plainFrame('é🎬').bytes), ['é🎬'], 'lengths are bytes')
  t.end()
})

t.test('all frames of a turn are one write, which neighbours share', async t => {
  const post = createPost(createTally())
  const [one, two, three] = [wire(), wire(), wire()]
  const outlets = [one, two, three].map(each => post.outlet(each))
  const frames = ['a', 'b', 'c'].map(text => plainFrame(text))
  for (const frame of frames) for (const outlet of outlets.slice(0, 2)) outlet.push(frame)
  outlets[2]!.push(frames[1]!)
  t.equal(outlets[0]!.queued(), 9)
  await until(() => three.writes.length === 1, { what: 'the turn ends' })
  t.same(one.writes.map(texts), [['a', 'b', 'c']])
  t.equal(one.writes[0], two.writes[0], 'joined once')
  t.equal(three.writes[0], frames[1]!.bytes, 'a single frame is not copied')
  t.equal(outlets[0]!.queued(), 0)
})

t.test('calm, a frame goes out before the turn goes on; right after it, the turn gathers', async t => {
  let ms = 0
  const post = createPost(createTally(), () => ms)
  const one = wire()
  const outlet = post.outlet(one)
  const say = async (text: string): Promise<void> => {
    outlet.push(plainFrame(text))
    await new Promise<void>(resolve => { process.nextTick(resolve) })
  }
  await say('a')
  t.same(one.writes.map(texts), [['a']])
  await say('b')
  await say('c')
  await new Promise(setImmediate)
  t.same(one.writes.map(texts), [['a'], ['b', 'c']])
  ms = 1
  await say('d')
  t.same(one.writes.map(texts).at(-1), ['d'])
})

t.test('a flush writes at once, and what was flushed is not written again; a dead wire gets nothing', async t => {
  const post = createPost(createTally())
  const [one, dead] = [wire(), { ...wire(), writable: false }]
  const [open, shut] = [post.outlet(one), post.outlet(dead)]
  open.push(plainFrame('a'))
  shut.push(plainFrame('a'))
  open.flush()
  t.equal(one.writes.length, 1)
  open.push(plainFrame('b'))
  await until(() => one.writes.length === 2, { what: 'the turn ends' })
  t.same(one.writes.map(texts), [['a'], ['b']])
  t.same(dead.writes, [])
})

t.test('many sockets: in slices, all of them', async t => {
  const post = createPost(createTally())
  const wires = Array.from({ length: 5_000 }, wire)
  const frame = plainFrame('x')
  for (const each of wires) post.outlet(each).push(frame)
  await until(() => wires.every(({ writes }) => writes.length === 1), { what: 'all are written' })
  t.pass('each once')
})
