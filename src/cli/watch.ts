// `headway watch`: a job, live, as bars on a terminal, as plain lines elsewhere, as JSON for other programs.

import { parseArgs } from 'node:util'
import { createClient, type Client, type JobMessage, type JobWatch, type TenantWatch, type WatchView } from '../client/index.ts'
import { createAging } from '../protocol/aged.ts'
import { WAIT_MS_MAX } from '../protocol/limits.ts'
import type { JobState } from '../protocol/states.ts'
import { UsageError, tellFault, wholeNumber, type Command } from './command.ts'
import { jobIdOf, knock, type Remote, REMOTE_HELP, REMOTE_OPTIONS, remoteOf } from './remote.ts'
import { watchAll } from './watch-all.ts'
import { drawJob, lineOfMessage } from './watch-text.ts'
import { createScreen, plain } from './terminal.ts'

const EXIT_CODES: Partial<Record<JobState, number>> = { completed: 0, failed: 1, canceled: 2 }
/** Could not be watched, or not to its end. */
const NOT_WATCHED = 3
const INTERRUPTED = 130
/** Between two pictures. */
const FRAME_MS = 100
/** Between two lines of progress. */
const LINE_MS = 1_000

export interface WatchOptions { json: boolean, isTerminal: boolean, signal: AbortSignal }

export const command: Command = {
  summary: 'follows a job live, to its end',

  help: () => `headway watch <job> | --all [--wait <s>] [--json]

Follows a job until it ends; every event is told, over cut lines and restarted gateways. Bars on a terminal, plain lines elsewhere.

  --all              every job of the tenant, until Ctrl-C
  --wait <s>         for a job that is not registered yet, at most ${WAIT_MS_MAX / 1_000} [0]
  --json             the messages as they come, one JSON object a line
${REMOTE_HELP}

Exit code: 0 the job completed, 1 it failed, 2 it was canceled; 3 it could not be watched (unknown, refused, wrong call),
130 Ctrl-C. NO_COLOR=1 leaves colours out.

Examples:
  headway watch job_123 && echo done
  headway watch job_123 --wait 30 --json | jq -r 'select(.type=="video.failed").data.id'
  headway watch --all`,

  async run (args) {
    const stop = new AbortController()
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => { stop.abort() })
    let client: Client | null = null
    try {
      const { values, positionals: [id, ...others] } = parseArgs({
        args: [...args],
        allowPositionals: true,
        options: { ...REMOTE_OPTIONS, all: { type: 'boolean', default: false }, wait: { type: 'string', default: '0' }, json: { type: 'boolean', default: false } }
      })
      if (others.length > 0 || (id === undefined) !== values.all) throw new UsageError('headway watch <job>, or headway watch --all')
      const waitMs = wholeNumber('wait', values.wait, 0, WAIT_MS_MAX / 1_000) * 1_000
      const remote = remoteOf(values)
      if (id !== undefined) jobIdOf(id)
      await knock(remote)
      const options = { json: values.json, isTerminal: process.stdout.isTTY, signal: stop.signal }
      if (id === undefined) {
        await watchAll(remote, options)
        return INTERRUPTED
      }
      client = createClient(remote)
      return await watchJob(client, remote, id, waitMs, options)
    } catch (error) {
      tellFault(error, 'watch')
      return NOT_WATCHED
    } finally {
      client?.close()
    }
  }
}

async function watchJob (client: Client, { explain }: Remote, id: string, waitMs: number, options: WatchOptions): Promise<number> {
  const { json, isTerminal, signal } = options
  const watch = client.watch(id, { wait_ms: waitMs, ...(json || isTerminal ? {} : { min_interval_ms: LINE_MS }) })
  const screen = !json && isTerminal ? createScreen(process.stdout) : null
  if (json) watch.onMessage(message => { console.log(JSON.stringify(message)) })
  else if (!isTerminal) tellLines(watch.onMessage, watch.getSnapshot)
  if (screen === null) tellCuts(watch)
  const aged = createAging()
  const draw = (): void => {
    const view = watch.getSnapshot()
    screen?.draw(drawJob(id, view.job === null ? view : { ...view, job: aged(view.job) }, process.stdout.columns))
  }
  const drawing = screen === null ? undefined : setInterval(draw, FRAME_MS)
  try {
    const view = await new Promise<WatchView | null>(resolve => {
      const look = (): void => {
        const now = watch.getSnapshot()
        if (now.connection === 'ended' || now.connection === 'stopped') resolve(now)
      }
      watch.subscribe(look)
      look()
      signal.addEventListener('abort', () => { resolve(null) }, { once: true })
    })
    draw()
    if (view === null) return INTERRUPTED
    if (view.error !== null) {
      console.error(`${id} cannot be watched: ${plain(explain(view.error.code, view.error.detail))}`)
      return NOT_WATCHED
    }
    return view.job === null ? NOT_WATCHED : EXIT_CODES[view.job.state] ?? NOT_WATCHED
  } finally {
    clearInterval(drawing)
    screen?.end()
  }
}

/** A line for each event of the job and each item that failed, and for progress once a second. */
function tellLines (onMessage: (listener: (message: JobMessage) => void) => void, getView: () => WatchView): void {
  let last = ''
  onMessage(message => {
    const line = lineOfMessage(message, getView().job)
    if (line === null || line === last) return
    last = line
    console.log(`${message.ts} ${line}`)
  })
}

/** On standard error: whoever reads a log has to know why nothing comes. */
export function tellCuts (watch: Pick<JobWatch | TenantWatch, 'subscribe' | 'getSnapshot'>): void {
  let isCut = false
  watch.subscribe(() => {
    const { connection } = watch.getSnapshot()
    if (connection !== 'reconnecting' && connection !== 'live') return
    if (isCut === (connection === 'reconnecting')) return
    isCut = !isCut
    console.error(isCut ? 'the line is cut, trying again…' : 'the line is back')
  })
}
