// Text for terminals: nothing that comes from a job may steer the terminal, lines do not wrap, colours only where they are wanted.

import { stripVTControlCharacters, styleText } from 'node:util'
import { formatCount, formatEstimate, formatPercent } from '../dashboard/format.ts'
import { readable } from '../dashboard/words.ts'
import type { JobView } from '../protocol/messages.ts'
import type { ItemState, JobState } from '../protocol/states.ts'

type Style = Parameters<typeof styleText>[0]

const STATE_STYLES: Record<JobState | ItemState, Style> = {
  pending: 'gray',
  running: 'cyan',
  processing: 'cyan',
  pausing: 'yellow',
  paused: 'yellow',
  completing: 'cyan',
  completed: 'green',
  canceling: 'magenta',
  canceled: 'magenta',
  failed: 'red',
  skipped: 'gray'
}

/** Titles, errors and reasons are what some worker wrote: escapes, newlines and other control characters become spaces. */
export function plain (text: string): string {
  return stripVTControlCharacters(text).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
}

/** Two columns wide on a terminal: Han, kana, Hangul, what goes with them, and pictures. */
const WIDE = /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u
/** Marks that stand on the letter before them, joiners and variation selectors. */
const NO_WIDTH = /^(?:\p{M}|[\u200b-\u200d]|[\ufe00-\ufe0f])$/u

function columnsOf (letter: string): number {
  return NO_WIDTH.test(letter) ? 0 : WIDE.test(letter) ? 2 : 1
}

/** @param columns at most; a longer text ends in … */
export function cut (text: string, columns: number): string {
  let used = 0
  /** What leaves room for the sign that it was cut. */
  let shorter = ''
  let kept = ''
  for (const letter of text) {
    used += columnsOf(letter)
    if (used > columns) return columns < 1 ? '' : `${shorter}…`
    kept += letter
    if (used < columns) shorter = kept
  }
  return text
}

export function cell (text: string, columns: number): string {
  const shown = cut(text, columns)
  const used = [...shown].reduce((sum, letter) => sum + columnsOf(letter), 0)
  return shown + ' '.repeat(Math.max(0, columns - used))
}

/** styleText itself leaves colours out for NO_COLOR and for what is no terminal. */
export function stateText (state: JobState | ItemState, columns = 0): string {
  return styleText(STATE_STYLES[state], state.padEnd(columns), { stream: process.stdout })
}

export function bar (job: JobView, columns: number): string {
  const done = Math.floor(job.percent_complete / 100 * columns)
  const inWork = Math.min(columns, Math.floor(job.percent_in_progress / 100 * columns)) - done
  return styleText(STATE_STYLES[job.state], '█'.repeat(done) + '▒'.repeat(Math.max(0, inWork)), { stream: process.stdout }) +
    '░'.repeat(columns - done - Math.max(0, inWork))
}

/** `50 completed, 2 failed, 1 skipped of 100` */
export function countsText (job: JobView): string {
  const counts = [`${formatCount(job.items_completed)} completed`]
  for (const [name, value] of [['failed', job.items_failed], ['skipped', job.items_skipped], ['canceled', job.items_canceled]] as const) {
    if (value > 0) counts.push(`${formatCount(value)} ${name}`)
  }
  return `${counts.join(', ')} of ${formatCount(job.items_total)}`
}

/** What is left, and what is the matter. */
export function outlook (job: JobView): string {
  const words = []
  if (job.ended_at === null && job.eta_ms !== null) words.push(`${formatEstimate(job.eta_ms)} left`)
  if (job.rate_limited) words.push('rate limited')
  if (job.stalled) words.push('stalled')
  if (job.deadline_exceeded) words.push('deadline exceeded')
  if (job.reason !== null && job.state !== 'running') words.push(plain(readable(job.reason)))
  return words.join(', ')
}

export function lineOf (job: JobView): string {
  return [`${job.state.padEnd(10)} ${formatPercent(job.percent_complete).padStart(8)}  ${countsText(job)}`, outlook(job)].filter(text => text !== '').join('; ')
}

export interface Screen {
  /** Replaces what was drawn before. */
  draw: (lines: readonly string[]) => void
  /** What was drawn stays. */
  end: () => void
}

/** Redraws its lines in place. @param out a terminal */
export function createScreen (out: NodeJS.WriteStream): Screen {
  let drawn = 0
  // Lines that were drawn for another width have wrapped, nobody knows how often: begin anew.
  const resized = (): void => {
    drawn = 0
    out.write('\u001b[2J\u001b[H')
  }
  out.on('resize', resized)
  out.write('\u001b[?25l')
  return {
    draw (lines) {
      const shown = lines.slice(0, Math.max(1, out.rows - 1))
      const up = drawn > 0 ? `\u001b[${drawn}A` : ''
      out.write(`${up}\r${shown.map(line => `${line}\u001b[K\n`).join('')}\u001b[J`)
      drawn = shown.length
    },
    end () {
      out.off('resize', resized)
      out.write('\u001b[?25h')
    }
  }
}
