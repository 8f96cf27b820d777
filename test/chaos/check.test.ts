// A checker that never fails proves nothing. A real run has to pass, and each bug planted into its record has to be found.

import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { rmSync } from 'node:fs'
import t from 'tap'
import { checkRun } from './check.ts'
import { readRecord, type Line } from './record.ts'

type FrameLine = Extract<Line, { k: 'frame' }>

const PROGRAM = join(import.meta.dirname, 'run.ts')
const run = spawnSync(process.execPath, [PROGRAM, '--fault', 'gateway-kill', '--seed', '3', '--quick', '--keep'], { encoding: 'utf8' })
const file = /record: (\S+)/.exec(run.stdout)?.[1] ?? ''
t.equal(run.status, 0, `a gateway is killed and nothing is missed: ${run.stdout}${run.stderr}`)
const lines = readRecord(file)
t.teardown(() => rmSync(dirname(file), { recursive: true, force: true }))

const isFrame = (line: Line): line is FrameLine => line.k === 'frame'
const isEvent = ({ message: { type } }: FrameLine) => type.startsWith('job.') === false && !type.endsWith('.progress')
const isEnd = ({ message: { type } }: FrameLine) => ['job.completed', 'job.failed', 'job.canceled'].includes(type)

/** Frames of one client that stayed on one connection and saw the end live. */
const client = lines.filter(isFrame).find(frame => isEnd(frame))!.client
const own = lines.filter(isFrame).filter(frame => frame.client === client)
const events = own.filter(isEvent)
const middle = events[events.length >> 1]!

const without = (...dropped: Line[]) => lines.filter(line => !dropped.includes(line))
const changed = (frame: FrameLine, message: object) => lines.map(line => {
  return line === frame ? { ...frame, message: { ...frame.message, ...message } } : line
})

t.same(checkRun(lines).violations, [], 'the run as it was')

const PLANTED: Record<string, () => Line[]> = {
  'a dropped message': () => without(middle),
  'a skipped repair: several messages in a row': () => without(...events.slice(events.length >> 1, (events.length >> 1) + 5)),
  'a swapped pair': () => {
    const next = events[(events.length >> 1) + 1]!
    return lines.map(line => {
      if (line === middle) return { ...middle, message: next.message }
      return line === next ? { ...next, message: middle.message } : line
    })
  },
  'a repeat': () => lines.flatMap(line => line === middle ? [line, line] : [line]),
  'a rev that goes back': () => changed(own.filter(isEvent).at(-1)!, { rev: 1 }),
  'something after the end': () => {
    const late = { ...middle, message: { ...middle.message, seq: own.at(-1)!.message.seq! + 1 } }
    return [...without(lines.at(-1)!), late, lines.at(-1)!]
  },
  'an end that was not seen': () => without(...own.filter(isEnd)),
  'a last value that was lost': () => {
    const end = own.find(isEnd)!
    return changed(end, { data: { ...end.message.data, items_completed: 0 } })
  },
  'a counter that is wrong in the end': () => lines.map(line =>
    line.k === 'final' && line.view !== null ? { ...line, view: { ...line.view, items_completed: Number(line.view['items_completed']) + 1 } } : line),
  'an event that differs from what others saw': () => changed(middle, { type: 'job.stalled', data: {} }),
  'a run that did not end': () => lines.filter(({ k }) => k !== 'end')
}

for (const [what, plant] of Object.entries(PLANTED)) t.ok(checkRun(plant()).violations.length > 0, `found: ${what}`)
