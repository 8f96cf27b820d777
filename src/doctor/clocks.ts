// How far the clocks of this machine, Redis and the database are apart. Nothing is ordered by this machine's clock, but tokens are judged
// by it.

import pg from 'pg'
import { sinkOf } from '../config/engine-options.ts'
import type { Config } from '../config/schema.ts'
import { findingsOf, type Finding } from './finding.ts'
import type { Node } from './redis-server.ts'

const { ok, warning, problem } = findingsOf('clocks')
const SKEW_MS_WARN = 2_000
const SKEW_MS_MAX = 30_000
const CALL_MS_MAX = 10_000

interface Reading {
  /** How far it is ahead of this machine, ms; null = it does not say. */
  ahead: number | null
  /** The answer tells no finer than this, ms. */
  grain: number
}

export async function examineClocks (nodes: readonly Node[], config: Config): Promise<Finding[]> {
  const findings: Finding[] = []
  const clocks = await Promise.all(nodes.map(async node => ({ name: `Redis${node.name === '' ? '' : ` at ${node.name}`}`, ...await redisAhead(node) })))
  const kind = sinkOf(config)
  if (kind === 'postgres' && config.postgres_url !== '') clocks.push({ name: 'Postgres', ...await postgresAhead(config.postgres_url) })
  if (kind === 'supabase' && config.supabase_url !== '') clocks.push({ name: 'Supabase', ...await httpAhead(config.supabase_url) })
  for (const { name, ahead, grain } of clocks) {
    if (ahead === null) continue
    const text = `${name} is ${spanText(ahead)} of this machine`
    if (Math.abs(ahead) > SKEW_MS_MAX + grain) {
      findings.push(problem('skew', text, {
        means: 'tokens count as expired or not yet valid, and times that are shown are wrong', advice: 'let all of them follow NTP; chronyc tracking tells who is wrong'
      }))
    } else if (Math.abs(ahead) > SKEW_MS_WARN + grain) {
      findings.push(warning('skew', text, { means: 'times that are shown are off by that much', advice: 'let all of them follow NTP' }))
    }
  }
  const measured = clocks.filter(({ ahead }) => ahead !== null)
  if (findings.length === 0) findings.push(ok('skew', measured.map(({ name, ahead }) => `${name} is ${spanText(ahead ?? 0)} of this machine`).join('; ')))
  return findings
}

function spanText (ms: number): string {
  const size = Math.abs(ms)
  return `${size < 1000 ? `${Math.round(size)} ms` : `${(size / 1000).toFixed(1)} s`} ${ms < 0 ? 'behind' : 'ahead'}`
}

/** @param ask gives the other clock's ms. The answer is taken as of the middle of the way there and back. */
async function aheadOf (ask: () => Promise<number | null>, grain: number): Promise<Reading> {
  try {
    const from = Date.now()
    const told = await ask()
    return { ahead: told === null ? null : told - (from + Date.now()) / 2, grain }
  } catch {
    return { ahead: null, grain } // that it does not answer is told by others
  }
}

async function redisAhead ({ redis }: Node): Promise<Reading> {
  return await aheadOf(async () => {
    const [seconds, micros] = await redis.time()
    return Number(seconds) * 1000 + Number(micros) / 1000
  }, 0)
}

async function postgresAhead (url: string): Promise<Reading> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CALL_MS_MAX, query_timeout: CALL_MS_MAX })
  client.on('error', () => {})
  try {
    await client.connect()
    return await aheadOf(async () => {
      const { rows } = await client.query<{ ms: string }>('select extract(epoch from clock_timestamp()) * 1000 as ms')
      return Number(rows[0]?.ms)
    }, 0)
  } catch {
    return { ahead: null, grain: 0 }
  } finally {
    await client.end().catch(() => {})
  }
}

/** By the Date of any answer: whole seconds, and servers keep it for up to another one. */
async function httpAhead (url: string): Promise<Reading> {
  return await aheadOf(async () => {
    const date = (await fetch(url, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.timeout(CALL_MS_MAX) })).headers.get('date')
    return date === null ? null : Date.parse(date) + 500
  }, 1000)
}
