// The environment becomes a frozen Config, or one error that names every fault at once. Only entry points call this.

import { readFileSync } from 'node:fs'
import { Compile } from 'typebox/compile'
import { type Config, type EnvName, type Setting, settings } from './schema.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** A sentence for each fault, never with the value of a secret. */
  readonly faults: readonly string[]

  constructor (faults: readonly string[]) {
    super(`The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n` +
      faults.map(fault => `  - ${fault}`).join('\n') +
      '\nRun with --help for every setting.')
    this.faults = faults
  }
}

/** Other names of settings, of older programs. The setting's own goes before. */
const ALIASES: Partial<Record<EnvName, string>> = { SUPABASE_ANON_KEY: 'SUPABASE_KEY' }

/** Not settings of a role: what commands that talk to a gateway read (src/cli/remote.ts). */
const OF_COMMANDS = ['HEADWAY_URL', 'HEADWAY_TOKEN']

/** Kubernetes writes the address of a service named `websocket` into WEBSOCKET_PORT, and so on. */
const SERVICE_LINK = /^(tcp|udp|sctp):\/\//

/** A setting as it was found. */
export interface Reading {
  setting: Setting
  /** As it was given, or the default; null = a file that cannot be read. */
  text: string | null
  /** What the program gets; without meaning when there is a fault. */
  value: unknown
  /** A sentence, never with the value of a secret; null = it is good. */
  fault: string | null
}

/**
 * @param env usually process.env; an empty value counts as absent
 * @param unneeded settings that this role does without: absent they are empty texts
 * @throws ConfigError with all faults
 */
export function loadConfig (env: Environment, unneeded: readonly EnvName[] = []): Config {
  const readings = readSettings(env, unneeded)
  const faults = readings.flatMap(({ fault }) => fault ?? [])
  if (faults.length > 0) throw new ConfigError(faults)
  return configOf(readings)
}

/** @returns every setting, in the order of the schema, faulty ones too */
export function readSettings (env: Environment, unneeded: readonly EnvName[] = []): Reading[] {
  return settings().map(setting => {
    const read = textFor(setting, env)
    if (read.fault !== null) {
      const isUnneeded = unneeded.includes(setting.name) && !env[setting.name] && !env[`${setting.name}_FILE`]
      return { setting, text: read.text, value: '', fault: isUnneeded ? null : read.fault }
    }
    const value = valueOf(setting, read.text)
    return { setting, text: read.text, value, fault: faultOf(setting, read.text, value) }
  })
}

/** @param readings without a fault */
export function configOf (readings: readonly Reading[]): Config {
  const values = readings.map(({ setting, value }) => [setting.key, Array.isArray(value) ? Object.freeze(value) : value])
  return Object.freeze(Object.fromEntries(values)) as Config
}

/** @returns a sentence for each setting that came by its other name */
export function aliasesUsed (env: Environment): string[] {
  return Object.entries(ALIASES).flatMap(([name, alias]) => !env[name] && !env[`${name}_FILE`] && env[alias] ? [`${alias} is read as ${name}: rename it`] : [])
}

/** @returns names that begin with HEADWAY_ but are no setting: most likely misspelt */
export function unknownSettings (env: Environment): string[] {
  const known = new Set<string>([...OF_COMMANDS, ...settings().flatMap(({ name, secret }) => secret ? [name, `${name}_FILE`] : [name])])
  return Object.keys(env).filter(name => name.startsWith('HEADWAY_') && !known.has(name) && !isServiceLink(name, env[name]))
}

type Found = { text: string, fault: null } | { text: string | null, fault: string }

function textFor ({ name, secret, fallback }: Setting, env: Environment): Found {
  const file = secret ? env[`${name}_FILE`] || undefined : undefined
  const alias = file === undefined ? ALIASES[name] : undefined
  const given = env[name] || (alias === undefined ? undefined : env[alias]) || undefined
  if (given !== undefined && file !== undefined) return { text: given, fault: `${name} and ${name}_FILE are both set; keep one` }
  if (file !== undefined) {
    try {
      return { text: readFileSync(file, 'utf8').replace(/\r?\n$/, ''), fault: null }
    } catch (error) {
      return { text: null, fault: `${name}_FILE: ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})` }
    }
  }
  if (given !== undefined) return { text: given, fault: null }
  return fallback === null
    ? { text: '', fault: `${name} is not set; ${secret ? `give it or ${name}_FILE` : 'give it'}` }
    : { text: fallback, fault: null }
}

/** @returns what the schema will judge; a text that does not convert stays a text, which it refuses */
function valueOf ({ kind }: Setting, text: string): unknown {
  if (kind === 'integer') return /^-?\d{1,15}$/.test(text.trim()) ? Number(text) : text
  if (kind === 'boolean') return ({ true: true, on: true, 1: true, false: false, off: false, 0: false } as Record<string, boolean>)[text.trim()] ?? text
  return kind === 'list' ? text.split(/[\s,]+/).filter(part => part !== '') : text
}

function faultOf ({ name, kind, schema, secret }: Setting, text: string, value: unknown): string | null {
  if (SERVICE_LINK.test(text)) {
    return `${name}=${text} was put there by Kubernetes, for a service of that name; ` +
      `set enableServiceLinks: false in the pod, or set ${name} yourself`
  }
  const check = Compile(schema)
  if (check.Check(value)) return null
  const shown = secret ? '' : `=${text}`
  if (kind === 'integer' && typeof value === 'string') return `${name}${shown} must be a whole number`
  if (kind === 'boolean') return `${name}${shown} must be true or false`
  const allowed = allowedOf(schema)
  return `${name}${shown} ${allowed === '' ? check.Errors(value)[0]?.message ?? 'is not allowed' : `must be of: ${allowed}`}`
}

function allowedOf (schema: object): string {
  const { enum: own, items } = schema as { enum?: string[], items?: { enum?: string[] } }
  return (own ?? items?.enum ?? []).filter(value => value !== '').join(', ')
}

function isServiceLink (name: string, value: string | undefined): boolean {
  return /_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_.+)?)$/.test(name) || SERVICE_LINK.test(value ?? '')
}
