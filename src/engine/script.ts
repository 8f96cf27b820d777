// Lua scripts as functions: the header of a script names its keys and arguments, so callers never count positions,
// `-- #include lib/x.lua` puts shared pieces together, and `-- #columns` names places of records without a cost at run time.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { HeadwayError } from '../protocol/errors.ts'

/** The part of ioredis (Redis or Cluster) that runs scripts. */
export interface ScriptRunner {
  evalsha (sha: string, keys: number, ...args: (string | number)[]): Promise<unknown>
  eval (source: string, keys: number, ...args: (string | number)[]): Promise<unknown>
}

type Words = [sha: string, keys: number, ...(string | number)[]]

export interface Script {
  readonly name: string
  readonly source: string
  readonly sha: string
  readonly keyNames: readonly string[]
  readonly argNames: readonly string[]
  /** Of an EVALSHA, for who sends it in company of other commands. @throws RangeError when a name of the header is missing */
  words (keys: Readonly<Record<string, string>>, args?: Readonly<Record<string, string | number>>): Words
  /** @throws RangeError when a name of the header is missing; the error of Redis otherwise */
  run (redis: ScriptRunner, keys: Readonly<Record<string, string>>, args?: Readonly<Record<string, string | number>>): Promise<unknown>
}

const LUA = new URL('lua/', import.meta.url)

function readSource (file: string): string {
  return readFileSync(new URL(file, LUA), 'utf8').replace(/^-- #include (\S+)$/gm, (_, included: string) => readSource(included))
}

/**
 * Names without a cost at run time. `-- #columns H LID EPOCH …` names the places of a record: H_LID stands for 1, H_EPOCH
 * for 2, further lines continue. `-- #constant NAME value` stands for its value. `{3 columns}` in a pattern is three
 * captured columns.
 */
function withNames (source: string): string {
  const names = new Map<string, string>()
  const places = new Map<string, number>()
  for (const [, record, columns] of source.matchAll(/^-- #columns (\w+) (.+)$/gm) as Iterable<[string, string, string]>) {
    for (const column of columns.split(' ')) {
      places.set(record, (places.get(record) ?? 0) + 1)
      names.set(`${record}_${column}`, String(places.get(record)))
    }
  }
  for (const [, name, value] of source.matchAll(/^-- #constant (\w+) (.+)$/gm) as Iterable<[string, string, string]>) names.set(name, value)
  return source
    .replace(/\b[A-Z][A-Z_]+\b/g, (name) => names.get(name) ?? name)
    .replace(/\{(\d+) columns\}/g, (_, count: string) => '\\t([^\\t]*)'.repeat(Number(count)))
}

function namesOf (source: string, list: 'KEYS' | 'ARGV'): string[] {
  const names: string[] = []
  for (const [, position, name] of source.matchAll(new RegExp(`^-- ${list}\\[(\\d+)\\] (\\w+)`, 'gm'))) {
    names[Number(position) - 1] = name as string
  }
  return names
}

function ordered (script: string, names: readonly string[], values: Readonly<Record<string, string | number>>): (string | number)[] {
  return names.map((name) => {
    const value = values[name]
    if (value === undefined) throw new RangeError(`${script} needs ${name}, which was not given`)
    return value
  })
}

/** Redis does not know the script: it was never sent there, or forgotten. */
export function isUnknownScript (error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

/** @param file name in src/engine/lua */
export function loadScript (file: string): Script {
  const source = withNames(readSource(file))
  const sha = createHash('sha1').update(source).digest('hex')
  const keyNames = namesOf(source, 'KEYS')
  const argNames = namesOf(source, 'ARGV')
  const words: Script['words'] = (keys, args = {}) => [
    sha, keyNames.length, ...ordered(file, keyNames, keys), ...ordered(file, argNames, args)
  ]
  return {
    name: file,
    source,
    sha,
    keyNames,
    argNames,
    words,
    async run (redis, keys, args = {}) {
      const [, ...values] = words(keys, args)
      try {
        return await redis.evalsha(sha, ...values)
      } catch (error) {
        if (!isUnknownScript(error)) throw error
        return await redis.eval(source, ...values)
      }
    }
  }
}

/** @throws HeadwayError internal when a loaded script and this build differ; a retry cannot help */
export function replyOf (script: Script, reply: unknown): unknown[] {
  if (Array.isArray(reply) && typeof reply[0] === 'string') return reply
  throw new HeadwayError('internal', `${script.name} answered ${JSON.stringify(reply)}, which this build does not know`)
}
