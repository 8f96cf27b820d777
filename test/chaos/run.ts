// npm run chaos: runs faults with seeds, each run judged by the checker as a program of its own.

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { FAULTS, type Fault } from './faults.ts'
import { haproxyBinary } from './haproxy.ts'
import { runScenario } from './scenario.ts'
import { SINK_FAULTS as OUTBOUND_FAULTS, type SinkFault } from './sink-faults.ts'
import { INBOUND_FAULTS } from './sink-inbound-faults.ts'
import { runSinkScenario } from './sink-scenario.ts'

const SINK_FAULTS: readonly SinkFault[] = [...OUTBOUND_FAULTS, ...INBOUND_FAULTS]

const CHECK = fileURLToPath(new URL('./check.ts', import.meta.url))

export const HELP = `npm run chaos -- --fault <name> [--seed N] [--seeds COUNT] [--quick] [--keep]

Runs Redis, gateways, workers and clients as they run for users, breaks something meanwhile, and judges what everybody saw.

  --fault <name>  which; a name without its ending means all that begin so (failover), "all" means every one
  --seed N        the plan and the fault's moments, 1 unless told
  --seeds COUNT   so many seeds, from N upwards
  --quick         a run of seconds, with fewer items and clients
  --keep          keeps the record of a good run too; a bad one's is always kept, and its place is printed

Faults:
${[...FAULTS, ...SINK_FAULTS].map(({ name, help }) => `  ${name.padEnd(26)} ${help}`).join('\n')}

Exit code: 0 without violations, 1 with, 2 when something could not be run.`

/** Those between gateways and clients, and those between persisters and their database. */
const ALL: readonly (Fault | SinkFault)[] = [...FAULTS, ...SINK_FAULTS]

class UsageError extends Error {}

interface Wanted { faults: (Fault | SinkFault)[], seeds: number[], quick: boolean, keep: boolean }

export function wantedOf (args: readonly string[]): Wanted | null {
  const { values } = parse(args)
  if (values.help === true) return null
  const { fault: name = '', quick = false, keep = false } = values
  if (name === '') throw new UsageError(`--fault is missing; one of: ${namesOf(ALL)}, all`)
  const faults = ALL.filter(fault => name === 'all' || fault.name === name || fault.name.startsWith(`${name}-`))
  if (faults.length === 0) throw new UsageError(`there is no fault ${JSON.stringify(name)}; there are: ${namesOf(ALL)}, all`)
  const first = wholeNumber('--seed', values.seed ?? '1', 0)
  const count = wholeNumber('--seeds', values.seeds ?? '1', 1)
  return { faults, seeds: Array.from({ length: count }, (_, n) => first + n), quick, keep }
}

function parse (args: readonly string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({ args: [...args], options: { fault: text, seed: text, seeds: text, quick: flag, keep: flag, help: { ...flag, short: 'h' } } })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function namesOf (faults: readonly (Fault | SinkFault)[]): string {
  return faults.map(({ name }) => name).join(', ')
}

function wholeNumber (option: string, text: string, least: number): number {
  const number = Number(text)
  if (!/^\d{1,9}$/.test(text) || number < least) throw new UsageError(`${option} must be a whole number from ${least}: ${text}`)
  return number
}

export interface Outcome { code: number, text: string, file: string }

/** Plays and judges. */
export async function runOnce (fault: Fault | SinkFault, seed: number, quick: boolean, folder: string): Promise<Outcome> {
  if (!('backend' in fault)) return await runSinkOnce(fault, seed, quick)
  const file = join(folder, `${fault.name}-${seed}.jsonl`)
  await runScenario({ fault, seed, quick, file })
  return await new Promise(resolve => {
    execFile(process.execPath, [CHECK, file], { maxBuffer: 16 * 1_048_576 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 2), text: `${stdout}${stderr}`.trim(), file })
    })
  })
}

/** Judged by what the tables and Redis say at the end: there is no record to keep. */
async function runSinkOnce (fault: SinkFault, seed: number, quick: boolean): Promise<Outcome> {
  const { violations, summary } = await runSinkScenario({ fault, seed, quick })
  const text = violations.length === 0 ? `ok: ${summary}` : [`${violations.length} violations`, ...violations.slice(0, 20)].join('\n  ')
  return { code: violations.length === 0 ? 0 : 1, text, file: '' }
}

async function main (args: readonly string[]): Promise<number> {
  const wanted = wantedOf(args)
  if (wanted === null) {
    console.log(HELP)
    return 0
  }
  const folder = mkdtempSync(join(tmpdir(), 'headway-chaos-'))
  let worst = 0
  for (const fault of wanted.faults) {
    if ('balanced' in fault && fault.balanced === true && haproxyBinary() === null) {
      console.log(`${fault.name}: skipped, there is no haproxy on this machine (Debian: apt-get install haproxy)`)
      continue
    }
    for (const seed of wanted.seeds) {
      const begun = performance.now()
      const { code, text, file } = await runOnce(fault, seed, wanted.quick, folder)
      console.log(`${fault.name} seed ${seed} (${((performance.now() - begun) / 1000).toFixed(1)} s): ${text}`)
      if (file === '') {
        worst = Math.max(worst, code)
        continue
      }
      if (code !== 0 || wanted.keep) console.log(`  record: ${file}`)
      else rmSync(file)
      worst = Math.max(worst, code)
    }
  }
  if (worst === 0 && !wanted.keep) rmSync(folder, { recursive: true })
  return worst
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv.slice(2))
  } catch (error) {
    console.error(error instanceof UsageError ? `${error.message}\n\nMore: npm run chaos -- --help` : error)
    process.exitCode = 2
  }
}
