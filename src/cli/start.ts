// `headway start`, which `npm start` runs: the demo.

import { createInterface } from 'node:readline'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SCOPES } from '../config/schema.ts'
import { startDemo, type Demo } from '../demo/start.ts'
import { tellFault, untilToldToStop, wholeNumber, type Command } from './command.ts'
import { signToken } from './sign-token.ts'

const PROJECT = fileURLToPath(new URL('../../', import.meta.url))
/** npm runs scripts in the project's folder, wherever it was called. */
const BASE = process.env.INIT_CWD ?? '.'
const TOKEN_LIFETIME_S = 7 * 86_400
const PARENT_POLL_MS = 1000
const MIB = 1024 * 1024

const OPTIONS = {
  input: { type: 'string', default: resolve(PROJECT, 'node_modules') },
  files: { type: 'string', default: '3000' },
  quality: { type: 'string', default: '11' },
  'size-limit': { type: 'string', default: String(MIB) },
  'time-limit': { type: 'string', default: '500' },
  port: { type: 'string', default: process.env.WEBSOCKET_PORT ?? '8765' },
  data: { type: 'string', default: resolve(PROJECT, '.headway') },
  'no-supabase': { type: 'boolean', default: false },
  host: { type: 'string', default: process.env.WEBSOCKET_HOST ?? '127.0.0.1' }
} as const

export const command: Command = {
  summary: 'the demo: a private Redis, a local Supabase, two gateways, a sample job, the dashboard',

  help: () => `npm start -- [options], or headway start [options]

Starts a private Redis (unless REDIS_URL is set), a local Supabase (Postgres and PostgREST, empty at each start) with a
persister, two gateways and a sample worker that compresses files, an item a file. Prints the address of the dashboard.
Ctrl-C stops all of it.

  --input <folder>      files of the sample job, all below it [node_modules]
  --files <n>           at most this many, evenly spread [3000]
  --quality <0–11>      of brotli [11]
  --size-limit <bytes>  larger files fail for good [1048576]
  --time-limit <ms>     an attempt that takes longer fails, and is tried again with less effort [500]
  --port <n>            of the first gateway; the second takes the next [WEBSOCKET_PORT or 8765]
  --host <address>      that the gateways listen on [WEBSOCKET_HOST or 127.0.0.1]
  --data <folder>       for data, logs and the secret [.headway]
  --no-supabase         without a database: jobs are gone five minutes after their end

Exit code: 0 stopped as told; 1 it could not start, and says why; 2 wrong command line.

Examples:
  npm start -- --input ~/Documents --files 200
  headway start --port 9000 --no-supabase`,

  async run (args) {
    const stop = new AbortController()
    let demo: Demo | null = null
    // Listening from the first moment: a Ctrl-C while Redis starts must not leave it behind.
    const told = untilToldToStop(() => {
      demo?.kill()
      process.exit(1)
    })
    void told.then(() => { stop.abort() })
    try {
      const { values } = parseArgs({ args: [...args], options: OPTIONS })
      demo = await startDemo({
        data_folder: resolve(BASE, values.data),
        redis_url: process.env.REDIS_URL || null,
        host: values.host,
        port: wholeNumber('port', values.port, 1, 65_534),
        jwt_secret: process.env.HEADWAY_JWT_SECRET || null,
        supabase: !values['no-supabase'],
        sample: {
          folder: resolve(BASE, values.input),
          files_max: wholeNumber('files', values.files, 1, 100_000),
          quality: wholeNumber('quality', values.quality, 0, 11),
          size_limit_bytes: wholeNumber('size-limit', values['size-limit'], 1, 1024 * MIB),
          time_limit_ms: wholeNumber('time-limit', values['time-limit'], 1, 3_600_000)
        },
        headway: fileURLToPath(new URL('headway.ts', import.meta.url)),
        signToken: async (secret, tenant) => await signToken({
          secret, tenant_id: tenant, tenant_claim: 'app_metadata.tenant_id', scopes: SCOPES, subject: 'demo', lifetime_s: TOKEN_LIFETIME_S
        }),
        say: line => { console.log(line) },
        signal: stop.signal
      })
      offerAnotherRun(demo)
      await Promise.race([told, parentGone()])
      console.log('\nStopping…')
      await demo.stop()
      process.exit(0) // standard input may still be open
    } catch (error) {
      return stop.signal.aborted ? 0 : tellFault(error, 'start')
    }
  }
}

function offerAnotherRun (demo: Demo): void {
  if (!process.stdin.isTTY) return console.log('Ctrl-C stops everything.')
  console.log('Ctrl-C stops everything, Enter starts another sample job.')
  createInterface({ input: process.stdin }).on('line', () => { demo.runSample() })
}

/** npm may be killed and leave us: nobody could stop the demo then. Only where npm is the parent; a shell may go. */
function parentGone (): Promise<void> {
  if (process.env.npm_lifecycle_event === undefined) return new Promise(() => {})
  const parent = process.ppid
  return new Promise(resolve => {
    const timer = setInterval(() => {
      if (process.ppid === parent) return
      clearInterval(timer)
      resolve()
    }, PARENT_POLL_MS)
  })
}
