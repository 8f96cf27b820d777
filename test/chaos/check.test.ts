// A checker that never fails proves nothing. A real run has to pass, and each bug planted into its record has to be found, for
// the reason that it is.

import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { checkRun } from './check.ts'
import { readRecord, type Line } from './record.ts'

type FrameLine = Extract<Line, { k: 'frame' }>
type FinalLine = Extract<Line, { k: 'final' }>

const run = spawnSync(process.execPath, [join(import.meta.dirname, 'run.ts'), '--fault', 'gateway-kill', '--seed', '3', '--quick', '--keep'], { encoding: 'utf8' })
const file = /record: (\S+)/.exec(run.stdout)?.[1] ?? ''
t.equal(run.status, 0, `a gateway is killed and nothing is missed: ${run.stdout}${run.stderr}`)
const lines = readRecord(file)
t.teardown(() => rmSync(dirname(file), { recursive: true, force: true }))

const isFrame = (line: Line): line is FrameLine => line.k === 'frame'
const isEvent = ({ message: { type } }: FrameLine) => type.startsWith('job.') === false && !type.endsWith('.progress')
const isEnd = ({ message: { type } }: FrameLine) => ['job.completed', 'job.failed', 'job.canceled'].includes(type)
const framesOf = (client: number) => lines.filter(isFrame).filter(frame => frame.client === client)

/** Frames of one client that saw the end live, of a job whose every counter is planned. */
const own = framesOf(lines.filter(isFrame).find(frame => isEnd(frame) && frame.message.job_id!.startsWith('auto'))!.client)
const events = own.filter(isEvent)
const at = events.length >> 1
const middle = events[at]!
const end = own.find(isEnd)!

/** And of one whose job goes on: only progress tells it how far its last items are. */
const runLine = lines.find(line => line.k === 'run')!
const openJob = runLine.clients.find(({ job }) => job.startsWith('open'))!
const open = framesOf(openJob.client)
const openItem = runLine.expected.find(({ job }) => job === openJob.job)!.items
const [lastItem = ''] = Object.entries(openItem).filter(([, { state }]) => state === 'processing').map(([id]) => id).slice(-1)

/** The first frame of a connection that went on where another had ended. */
const resumed = lines.find((line): line is Extract<Line, { k: 'open' }> => line.k === 'open' && line.since !== null)!
const goesOn = framesOf(resumed.client).find(({ connection }) => connection === resumed.connection)!

/** And of one that watched all jobs. */
const tenant = framesOf(runLine.tenant_clients[0]!)
const jobOf = ({ message: { data } }: FrameLine) => (data?.['job'] ?? {}) as Record<string, unknown>
const changesOf = (job: string) => tenant.filter(frame => frame.message.type === 'tenant.job_changed' && jobOf(frame)['id'] === job)
const ofAuto = changesOf(middle.message.job_id!)
const ofOpen = changesOf(openJob.job)
const list = tenant.find(({ message: { type } }) => type === 'tenant.snapshot')!
const listed = (jobs: unknown[], reset = true) => altered(list, { data: { jobs, reset } })

const without = (...dropped: Line[]) => lines.filter(line => !dropped.includes(line))
const behind = (line: Line, ...added: Line[]) => lines.flatMap(one => one === line ? [one, ...added] : [one])
const altered = (frame: FrameLine, message: object): FrameLine => ({ ...frame, message: { ...frame.message, ...message } })
const changed = (frame: FrameLine, message: object) => lines.map(line => line === frame ? altered(frame, message) : line)
const isFinalOf = (job: string) => (line: Line): line is FinalLine => line.k === 'final' && line.job === job
const final = lines.find(isFinalOf(middle.message.job_id!))!
const finally_ = (change: Partial<FinalLine>) => lines.map(line => line === final ? { ...final, ...change } : line)
const snapshotAt = (frame: FrameLine, data: object): FrameLine => {
  const first = framesOf(frame.client).find(({ message }) => message.type === 'job.snapshot')!
  return altered(frame, { type: 'job.snapshot', data: { ...first.message.data, ...data } })
}

t.same(checkRun(lines).violations, [], 'the run as it was')

const PLANTED: Record<string, [found: RegExp, () => Line[]]> = {
  'a dropped message': [/a gap|progress of seq/, () => without(middle)],
  'a skipped repair: several messages in a row': [/a gap|progress of seq/, () => without(...events.slice(at, at + 5))],
  'a swapped pair': [/a repeat or a step back/, () => {
    const next = events[at + 1]!
    const swapped = new Map<Line, Line>([[middle, { ...middle, message: next.message }], [next, { ...next, message: middle.message }]])
    return lines.map(line => swapped.get(line) ?? line)
  }],
  'a repeat': [/a repeat or a step back/, () => behind(middle, middle)],
  'a rev that goes back': [/: rev 1 after/, () => changed(events.at(-1)!, { rev: 1 })],
  'progress that goes back within a connection': [/job.progress .*: rev 1 after/, () => {
    const some = open.filter(({ message: { type } }) => type === 'job.progress')[3]!
    return changed(some, { rev: 1 })
  }],
  'something after the end': [/after the end/, () => behind(end, altered(middle, { seq: end.message.seq! + 1, rev: end.message.rev }))],
  'an end that was not seen': [/never saw the end/, () => without(...own.filter(isEnd))],
  'a last value that was lost': [/last heard items_completed 0/, () => changed(end, { data: { ...end.message.data, items_completed: 0 } })],
  'a last progress of the job that was conflated away': [/last heard items_/, () => {
    const settledLast = open.filter(({ message: { type } }) => type === 'job.progress')
    return without(...settledLast.slice(-Math.ceil(settledLast.length / 2)))
  }],
  'a last progress of an item that was conflated away': [new RegExp(`last heard .* % of ${lastItem}`), () =>
    without(...open.filter(({ message: { type, data } }) => type === 'video.progress' && data?.['id'] === lastItem))],
  'progress of an item behind its end': [/which was settled before/, () => {
    const settled = events.find(({ message: { type } }) => type === 'video.completed')!
    return behind(settled, altered(settled, { type: 'video.progress' }))
  }],
  'progress that is older than what was shown': [/progress of seq/, () => behind(middle, altered(middle, { type: 'job.progress', seq: middle.message.seq! - 1, data: {} }))],
  'a snapshot in place of the missed events': [/a snapshot without reset after since/, () =>
    lines.map(line => line === goesOn ? snapshotAt(goesOn, { reset: false }) : line)],
  'a reset that nothing called for': [/reset, though the log reaches back/, () => behind(middle, snapshotAt(middle, { reset: true }))],
  'an epoch that is new without a loss': [/a new epoch, though nothing was lost/, () => behind(middle, snapshotAt(middle, { reset: true, epoch: 99_999_999_999_999 }))],
  'an epoch that goes back': [/: epoch 1 after/, () => behind(middle, snapshotAt(middle, { reset: true, epoch: 1 }))],
  'a job that was said to be unknown': [/that the job is unknown/, () => behind(middle, { ...middle, message: { type: 'error', code: 'unknown_job' } })],
  'a message of another job': [/a message of other/, () => changed(middle, { job_id: 'other' })],
  'an event that differs from what others saw': [/to one and/, () => changed(middle, { type: 'job.stalled', data: {} })],
  'a counter that is wrong in the end': [/items_completed is .*, planned was/, () =>
    finally_({ view: { ...final.view, items_completed: Number(final.view!['items_completed']) + 1 } })],
  'an item in another state than planned': [/item i0 is pending #1, planned was/, () =>
    finally_({ items: final.items.map(item => item['id'] === 'i0' ? { ...item, state: 'pending', attempt: 1 } : item) })],
  'an event that took effect twice': [/took effect twice/, () =>
    finally_({ log: final.log.map((logged, n) => n === at + 1 ? { ...logged, what: final.log.find(({ what }) => what.startsWith('video'))!.what } : logged) })],
  'a job that is not there in the end': [/is not in Redis/, () => finally_({ view: null })],
  'of the tenant: an end that was not seen': [/never saw the end of auto/, () => without(...ofAuto.filter(frame => jobOf(frame)['state'] === 'completed'))],
  'of the tenant: a last progress that was conflated away': [/has open-3 at .*, in Redis it is at/, () => without(ofOpen.at(-1)!)],
  'of the tenant: a swapped pair': [/auto-3 goes back/, () => {
    const [one, two] = [ofAuto.at(-3)!, ofAuto.at(-2)!]
    return lines.map(line => line === one ? { ...one, message: two.message } : line === two ? { ...two, message: one.message } : line)
  }],
  'of the tenant: a list that is older than what was told': [/auto-3 goes back/, () => behind(ofAuto.at(-1)!, listed([jobOf(ofAuto[0]!)]))],
  'of the tenant: a list without a job': [/open-3 is missing in the list/, () => behind(ofOpen.at(-1)!, listed([]))],
  'of the tenant: a list in the middle that does not say reset': [/a second list without reset/, () => behind(ofAuto.at(-1)!, listed([], false))],
  'of the tenant: a job that nobody told of': [/never heard of auto-3/, () => without(...ofAuto, ...tenant.filter(({ message: { type } }) => type === 'tenant.snapshot'))],
  'of the tenant: a job that is not its own': [/other is no job of this tenant/, () =>
    behind(ofAuto[0]!, altered(ofAuto[0]!, { job_id: 'other', data: { job: { ...jobOf(ofAuto[0]!), id: 'other' } } }))],
  'of the tenant: something after the end': [/auto-3 is running after it was completed/, () => {
    const last = ofAuto.at(-1)!
    const rev = Number(jobOf(last)['rev']) + 1
    return behind(last, altered(last, { rev, data: { job: { ...jobOf(last), rev, state: 'running' } } }))
  }],
  'of the tenant: an epoch that is new without a loss': [/a new epoch of auto-3/, () =>
    behind(ofAuto.at(-1)!, altered(ofAuto.at(-1)!, { data: { job: { ...jobOf(ofAuto.at(-1)!), epoch: 99_999_999_999_999 } } }))],
  'of the tenant: a job that is said to be gone': [/auto-3 was removed/, () =>
    behind(ofAuto.at(-1)!, altered(ofAuto.at(-1)!, { type: 'tenant.job_removed', data: { epoch: 1 } }))],
  'of the tenant: a change before the list': [/before the list/, () => lines.flatMap(line => line === list ? [ofAuto[0]!, list] : [line])],
  'of the tenant: a counter that is wrong in the end': [/last heard items_completed 0 of auto-3/, () =>
    changed(ofAuto.at(-1)!, { data: { job: { ...jobOf(ofAuto.at(-1)!), items_completed: 0 } } })],
  'a gateway that takes too much': [/the bound is/, () => [...lines, { k: 'rss', t: 0, pid: 1, bytes: 2 ** 40 }]],
  'a worker whose event was not taken': [/the SDK did not send: x/, () => lines.map(line => line.k === 'end' ? { ...line, refused: ['x'] } : line)],
  'a client that was away for too long': [/heard nothing for [\d.]+ ms, at most 1$/, () =>
    lines.map(line => line === runLine ? { ...runLine, rules: { ...runLine.rules, away_ms_max: 1 } } : line)],
  'a fault that failed': [/the fault failed: x/, () => [...lines, { k: 'note', t: 0, what: 'the fault failed: x' }]],
  'a run that did not end': [/did not come to its end/, () => lines.filter(({ k }) => k !== 'end')]
}

for (const [what, [found, plant]] of Object.entries(PLANTED)) {
  const { violations } = checkRun(plant())
  t.ok(violations.some(text => found.test(text)), `found: ${what}`, { violations: violations.slice(0, 5) })
}

t.test('as a program', async t => {
  const check = (...args: string[]) => spawnSync(process.execPath, [join(import.meta.dirname, 'check.ts'), ...args], { encoding: 'utf8' })
  const bad = join(dirname(file), 'bad.jsonl')
  writeFileSync(bad, without(middle).map(line => JSON.stringify(line)).join('\n'))
  t.match(check(file), { status: 0, stdout: /^no violation/ })
  t.match(check(bad), { status: 1, stdout: /^\d+ violations/ })
  t.match(check(), { status: 2, stderr: /usage/ })
  t.match(check('/nowhere.jsonl'), { status: 2, stderr: /ENOENT/ })
})
