// What is drawn fits: a line that wraps, or one too many, would spoil every picture after it.

import { stripVTControlCharacters } from 'node:util'
import t from 'tap'
import fc from 'fast-check'
import { cell, cut, plain } from '../../src/cli/terminal.ts'
import { drawJobs } from '../../src/cli/watch-all.ts'
import { drawJob } from '../../src/cli/watch-text.ts'
import { EMPTY_VIEW } from '../../src/client/index.ts'
import type { JobView } from '../../src/protocol/messages.ts'
import { JOB_STATES } from '../../src/protocol/states.ts'
import { itemView, jobView } from '../../src/protocol/view.ts'
import { counted, sampleItem, sampleJob, sampleRegistration, T0 } from '../protocol/samples.ts'

t.test('letters of two columns, of none, and of one', async t => {
  t.equal(cut('progress', 8), 'progress')
  t.equal(cut('progress', 7), 'progre…')
  t.equal(cut('進捗状況', 8), '進捗状況')
  t.equal(cut('進捗状況', 7), '進捗状…')
  t.equal(cut('進捗状況', 6), '進捗…', 'half a letter is none')
  t.equal(cut('e\u0301te\u0301', 3), 'e\u0301te\u0301', 'accents of their own take no room')
  t.equal(cut('🎬🎬', 3), '🎬…')
  t.equal(cut('x', 0), '')
  t.equal(cell('進捗', 6), '進捗  ')
})

const anyTitle = fc.array(fc.constantFrom('a', 'word ', '進捗', '🎬', '\n', '\u001b[31m', 'é', '\t'), { maxLength: 40 }).map(parts => parts.join(''))

/** As terminals count: a second opinion on what was cut. */
function columnsOf (line: string): number {
  const wide = (code: number): boolean => (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) || code >= 0x1f300
  return [...stripVTControlCharacters(line)].reduce((sum, letter) => sum + (wide(letter.codePointAt(0) ?? 0) ? 2 : 1), 0)
}

function jobOf (n: number, title: string): JobView {
  const job = sampleJob({ id: `a-rather-long-name-of-a-job-${n}`, state: JOB_STATES[n % JOB_STATES.length] ?? 'running', counted: counted({ completed: n % 100 }) })
  return jobView(job, sampleRegistration({ title }), T0)
}

t.test('hundreds of jobs on a terminal of any size', async () => {
  const sizes = [fc.integer({ min: 21, max: 200 }), fc.integer({ min: 4, max: 60 })] as const
  fc.assert(fc.property(...sizes, fc.nat(400), anyTitle, (columns, rows, many, title) => {
    const jobs = Array.from({ length: many }, (_, n) => jobOf(n, `${title} 進捗 🎬`))
    const lines = drawJobs({ jobs, connection: 'live', loaded: true, error: null }, columns, rows)
    return lines.length < rows && lines.every(line => columnsOf(line) <= columns && !line.includes('\n'))
  }), { numRuns: 60 })
})

t.test('what still runs comes first, and what finds no room is counted', async t => {
  const jobs = Array.from({ length: 300 }, (_, n) => jobOf(n, 'Title'))
  const lines = drawJobs({ jobs, connection: 'reconnecting', loaded: true, error: null }, 100, 24).map(stripVTControlCharacters)
  t.match(lines[0], /^300 jobs, 34 running; the line is cut/)
  t.equal(lines.at(-1), '… and 279 more')
  t.notOk(lines.slice(1, -1).some(line => / (completed|failed|canceled) /.test(line)))
})

t.test('one job on a terminal of any width', async () => {
  fc.assert(fc.property(fc.integer({ min: 20, max: 200 }), anyTitle, (columns, title) => {
    const items = [sampleItem({ title }), sampleItem({ state: 'failed', error_json: JSON.stringify(title) })].map(item => itemView(item, 'running'))
    const view = { ...EMPTY_VIEW, connection: 'reconnecting' as const, job: jobOf(1, title), items }
    return drawJob('id', view, columns).every(line => columnsOf(line) <= columns && !line.includes('\n'))
  }))
})

t.test('what a worker wrote steers no terminal', async t => {
  t.equal(plain('\u001b[31mred\u001b]0;title\u0007\nnext\u202e'), 'red next ')
})
