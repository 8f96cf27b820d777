// `headway submit`: worker events from the command line, from a file or from another program, for scripts that are workers.

import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { HeadwayError } from '../protocol/errors.ts'
import { EVENTS_PER_POST_MAX } from '../protocol/limits.ts'
import { EVENT_TYPES } from '../protocol/schema/worker.ts'
import { tellFault, UsageError, wholeNumber, type Command } from './command.ts'
import { BusyError, type Remote, REMOTE_HELP, REMOTE_OPTIONS, remoteOf, UnreachableError } from './remote.ts'
import { plain } from './terminal.ts'

interface Line { number: number, text: string }
interface Answer {
  accepted: number
  rejected: { index: number, code: string, detail: string }[]
  control: { state: string | null, request_id: string | null }
}

/** Below the gateway's own bound of 1 MiB. */
const BODY_BYTES_MAX = 900_000
const BACKOFF_MS_MAX = 15_000
const TELL_MS = 1_000

export const command: Command = {
  summary: 'sends worker events: one, or a file of them',

  help: () => `headway submit <type> <job> [<data>]
headway submit [<file> | -]

The first sends one event, the second a file (or standard input) of one JSON event a line, at most 1,000 a request:
  {"type":"item.update","job":"job_123","data":{"id":"vid_001","state":"completed"}}
An event that is refused is told with its line and keeps no other back. When nobody answers, or a gateway is busy,
the request is sent again; the key that it carries makes that harmless.

  <type>             ${EVENT_TYPES.join(' ')}
  <data>             JSON, as docs/api.md shows it for the type's own route [{}]
  --tries <n>        of a request [10]
  --json             the answers as JSON, one a request
${REMOTE_HELP}

Exit code: 0; 1 when an event was refused or could not be sent; 2 for a wrong call.

Examples:
  headway submit job.register job_123 '{"items_total":2,"state":"running","auto_complete":true}'
  headway submit item.update job_123 '{"id":"vid_001","state":"completed"}'
  my-worker | headway submit -`,

  async run (args) {
    try {
      const { values, positionals } = parseArgs({
        args: [...args],
        allowPositionals: true,
        options: { ...REMOTE_OPTIONS, tries: { type: 'string', default: '10' }, json: { type: 'boolean', default: false } }
      })
      const remote = remoteOf(values)
      const tries = wholeNumber('tries', values.tries, 1, 1_000)
      const isOne = (EVENT_TYPES as readonly (string | undefined)[]).includes(positionals[0])
      const total = { accepted: 0, rejected: 0 }
      let told = performance.now()
      for await (const lines of requestsOf(isOne ? oneEvent(positionals) : linesOf(positionals))) {
        const answer = await send(remote, lines, tries)
        total.accepted += answer.accepted
        total.rejected += answer.rejected.length
        if (values.json) console.log(JSON.stringify(answer))
        for (const { index, code, detail } of answer.rejected) {
          console.error(`${isOne ? '' : `line ${lines[index]?.number ?? '?'}: `}${code}: ${plain(detail)}`)
        }
        if (isOne && answer.control.request_id !== null && !values.json) {
          console.log(`the user wants the job ${answer.control.state}: headway submit job.heartbeat ${positionals[1]} '{"ack":"${answer.control.request_id}"}'`)
        }
        if (process.stderr.isTTY && performance.now() - told > TELL_MS) {
          told = performance.now()
          console.error(`${total.accepted + total.rejected} events…`)
        }
      }
      if (!isOne && !values.json) console.log(`${total.accepted} accepted, ${total.rejected} rejected`)
      return total.rejected === 0 ? 0 : 1
    } catch (error) {
      return tellFault(error, 'submit')
    }
  }
}

async function * oneEvent ([type, job, data = '{}', ...others]: readonly string[]): AsyncGenerator<Line> {
  if (job === undefined || others.length > 0) throw new UsageError('headway submit <type> <job> [<data>]: the data is one argument, quote it')
  try {
    yield { number: 1, text: JSON.stringify({ type, job, data: JSON.parse(data) as unknown }) }
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new UsageError(`The data is no JSON: ${cause.message}`, { cause })
  }
}

async function * linesOf ([file = '-', ...others]: readonly string[]): AsyncGenerator<Line> {
  if (others.length > 0) throw new UsageError(`headway submit takes one file; as an event, its type must be one of ${EVENT_TYPES.join(', ')}`)
  const input = file === '-' ? process.stdin : createReadStream(file)
  const failed = new Promise<never>((_resolve, reject) => {
    input.once('error', (cause: Error) => { reject(new UsageError(`${file} cannot be read: ${cause.message}`, { cause })) })
  })
  failed.catch(() => {})
  let number = 0
  const lines = createInterface({ input, crlfDelay: Infinity })[Symbol.asyncIterator]()
  while (true) {
    const next = await Promise.race([lines.next(), failed])
    if (next.done === true) return
    number++
    if (next.value.trim() !== '') yield { number, text: next.value }
  }
}

/** What fits into one request. */
async function * requestsOf (lines: AsyncIterable<Line>): AsyncGenerator<Line[]> {
  let request: Line[] = []
  let bytes = 0
  for await (const line of lines) {
    const size = Buffer.byteLength(line.text) + 1
    if (request.length === EVENTS_PER_POST_MAX || (request.length > 0 && bytes + size > BODY_BYTES_MAX)) {
      yield request
      request = []
      bytes = 0
    }
    request.push(line)
    bytes += size
  }
  if (request.length > 0) yield request
}

async function send (remote: Remote, lines: readonly Line[], tries: number): Promise<Answer> {
  const key = randomUUID()
  for (let n = 1; ; n++) {
    try {
      return await remote.call<Answer>('POST', '/v1/events', { lines: lines.map(({ text }) => text).join('\n'), idempotency_key: key })
    } catch (error) {
      const wait = error instanceof BusyError ? error.retry_after_ms : error instanceof UnreachableError ? 0 : null
      if (wait === null || n >= tries) throw error instanceof HeadwayError ? new HeadwayError(error.code, `${error.message} (line ${lines[0]?.number ?? '?'} on)`) : error
      await delay(wait + Math.random() * Math.min(BACKOFF_MS_MAX, 250 * 2 ** n))
    }
  }
}
