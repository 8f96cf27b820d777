// Whether the database has the schema that this build writes to. Asked before anything is written: an older one would refuse each
// batch with an error about a column or a function that tells nobody what to do.

import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../engine/engine.ts'
import { HeadwayError } from '../protocol/errors.ts'
import { migrations, schemaVersion } from './migrations.ts'
import { SinkError, type Sink } from './sink.ts'

/** The function that would tell the version is not there. */
const NO_FUNCTION = /^(42883|3F000|PGRST202)$/

/**
 * @returns the version that is there; null = the database does not answer
 * @throws HeadwayError invalid_config when it is older than needed, or there is none; a newer one still serves this build
 */
export async function checkSchema (sink: Sink, signal: AbortSignal): Promise<number | null> {
  let found = 0
  try {
    found = await sink.version(signal) ?? 0
  } catch (error) {
    if (!(error instanceof SinkError) || !NO_FUNCTION.test(error.code)) return null
  }
  const needed = schemaVersion()
  if (found >= needed) return found
  const files = migrations().filter(({ version }) => version > found).map(({ name }) => name)
  throw new HeadwayError('invalid_config', `the database of ${sink.name} has ${found === 0 ? 'no schema of Headway' : `schema version ${found}`}, ` +
    `this build needs ${needed}: run headway migrate, which applies ${files.join(', ')} of deploy/supabase`)
}

const ASK_MS = 5_000
const RETRY_MS = 30_000

/**
 * A database that is away does not keep a persister from starting: it is asked again behind, and what is wrong then is told in the log.
 *
 * @throws HeadwayError invalid_config, when it answers at once
 */
export async function requireSchema (sink: Sink, log: Log, stop: AbortSignal): Promise<void> {
  const ask = async (): Promise<number | null> => await checkSchema(sink, AbortSignal.any([stop, AbortSignal.timeout(ASK_MS)]))
  if (await ask() !== null) return
  log.warn({ event: 'schema_unknown', sink: sink.name }, `the version of the schema is not known yet: ${sink.name} does not answer`)
  const later = async (): Promise<void> => {
    while (!stop.aborted) {
      await delay(RETRY_MS, undefined, { signal: stop }).catch(() => {})
      try {
        if (await ask() !== null) return
      } catch (error) {
        log.error({ event: 'schema_too_old', sink: sink.name }, (error as Error).message)
      }
    }
  }
  void later()
}
