// The running Headway that a command talks to, and calls to it over HTTP.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SCOPES } from '../config/schema.ts'
import { HeadwayError, isErrorCode, type ErrorCode } from '../protocol/errors.ts'
import { isId } from '../protocol/ids.ts'
import { UsageError } from './command.ts'
import { signToken } from './sign-token.ts'

export const DEMO_SECRET = join('.headway', 'jwt-secret')
const TOKEN_LIFETIME_S = 3_600

/** Options of every command that talks to a gateway, for parseArgs. */
export const REMOTE_OPTIONS = { url: { type: 'string' }, token: { type: 'string' }, tenant: { type: 'string' } } as const

export const REMOTE_HELP = `  --url <address>    of a gateway [HEADWAY_URL or http://127.0.0.1:8765]
  --token <token>    [HEADWAY_TOKEN; else one is made, as headway token does]
  --tenant <id>      of the token that is made [demo]`

export interface Remote {
  url: string
  /** The sentence, and what may be done about it. */
  explain: (code: ErrorCode, detail: string) => string
  getToken: () => Promise<string>
  /**
   * @param path with its query, from /v1 on
   * @throws HeadwayError with the code of the answer; redis_unavailable and the like are worth another try
   * @throws UnreachableError when nobody answers
   */
  call: <T>(method: string, path: string, options?: CallOptions) => Promise<T>
}

export interface CallOptions { body?: unknown, lines?: string, idempotency_key?: string }

export class UnreachableError extends Error {
  override name = 'UnreachableError'
}

/** Says when to come back. */
export class BusyError extends HeadwayError {
  retry_after_ms = 1_000
}

export function remoteOf (values: { url?: string | undefined, token?: string | undefined, tenant?: string | undefined }): Remote {
  const { url = process.env.HEADWAY_URL || 'http://127.0.0.1:8765', token = process.env.HEADWAY_TOKEN || undefined, tenant = 'demo' } = values
  if (!URL.canParse(url) || !/^https?:/.test(url)) throw new UsageError(`--url ${url} must be an address like https://headway.example.com`)
  if (!isId(tenant)) throw new UsageError(`--tenant ${tenant} is no identifier`)
  const base = url.replace(/\/+$/, '')
  const secret = token === undefined ? readSecret() : ''
  const getToken = async (): Promise<string> => token ?? await signToken({
    secret, tenant_id: tenant, tenant_claim: tenantClaim(), scopes: SCOPES, subject: 'headway-cli', lifetime_s: TOKEN_LIFETIME_S
  })

  const explain = (code: ErrorCode, detail: string): string => {
    const hint = hintOf(code, token === undefined, tenant)
    return hint === '' || detail.includes(hint) ? detail : `${detail}${/[.!?]$/.test(detail) ? '' : '.'} ${hint}`
  }

  return {
    url: base,
    getToken,
    explain,
    async call (method, path, { body, lines, idempotency_key: key } = {}) {
      const sent = lines ?? (body === undefined ? null : JSON.stringify(body))
      const headers = {
        authorization: `Bearer ${await getToken()}`,
        ...(sent === null ? {} : { 'content-type': lines === undefined ? 'application/json' : 'application/x-ndjson' }),
        ...(key === undefined ? {} : { 'idempotency-key': key })
      }
      const response = await fetch(base + path, { method, headers, body: sent }).catch((cause: unknown) => {
        throw new UnreachableError(`Nobody answers at ${base}: is a gateway running there? --url or HEADWAY_URL names another one.`, { cause })
      })
      const text = await response.text()
      if (!response.ok) throw refusalOf(response, text, explain)
      return JSON.parse(text)
    }
  }
}

export function tenantClaim (): string {
  return process.env.HEADWAY_TENANT_CLAIM || 'app_metadata.tenant_id'
}

/** @returns the key that tokens are signed with. @throws UsageError when there is none */
export function readSecret (): string {
  const { HEADWAY_JWT_SECRET: secret, HEADWAY_JWT_SECRET_FILE: file } = process.env
  if (secret !== undefined && secret !== '') return secret
  try {
    return readFileSync(file ?? DEMO_SECRET, 'utf8').trim()
  } catch (cause) {
    const unread = file === undefined ? '' : `; ${file} cannot be read`
    throw new UsageError(`There is no secret to sign with: set HEADWAY_JWT_SECRET, or run the demo once (npm start)${unread}`, { cause })
  }
}

function hintOf (code: ErrorCode, isOwnToken: boolean, tenant: string): string {
  const { HEADWAY_JWT_SECRET: secret, HEADWAY_JWT_SECRET_FILE: file } = process.env
  const source = secret ? 'HEADWAY_JWT_SECRET' : file ?? DEMO_SECRET
  switch (code) {
    case 'unknown_job':
      return `headway jobs lists those of ${isOwnToken ? `tenant ${tenant} (--tenant names another one)` : 'the token\'s tenant'}.`
    case 'unauthorized':
      return isOwnToken ? `It was signed with the secret of ${source}: the gateway has another one.` : '--token or HEADWAY_TOKEN gives it; headway token makes one.'
    case 'token_expired':
      return 'headway token makes a new one.'
    default:
      return ''
  }
}

function refusalOf (response: Response, text: string, explain: Remote['explain']): HeadwayError {
  let problem: { code?: unknown, detail?: unknown, allowed?: string[] } = {}
  try {
    problem = JSON.parse(text) as typeof problem
  } catch {} // a proxy's page
  const code = typeof problem.code === 'string' && isErrorCode(problem.code) ? problem.code : 'internal'
  const detail = typeof problem.detail === 'string' ? problem.detail : `${response.url} answered ${response.status}`
  const allowed = problem.allowed === undefined || problem.allowed.length === 0 ? '' : ` Allowed: ${problem.allowed.join(', ')}.`
  if (response.status !== 429 && response.status !== 503 && code !== 'idempotency_conflict') return new HeadwayError(code, explain(code, detail) + allowed)
  const busy = new BusyError(code, detail)
  busy.retry_after_ms = (Number(response.headers.get('retry-after')) || 1) * 1_000
  return busy
}

/** @returns the id. @throws UsageError */
export function jobIdOf (text: string): string {
  if (isId(text)) return text
  throw new UsageError(`${text} is no id of a job: 1 to 128 letters, digits and . _ : - make one, and it begins with a letter or a digit`)
}

/**
 * Whether somebody answers at all, and takes the token: a client would go on trying for ever, and say nothing.
 * @throws HeadwayError · UnreachableError
 */
export async function knock (remote: Remote): Promise<void> {
  try {
    await remote.call('GET', '/v1/jobs?limit=1')
  } catch (error) {
    if (!(error instanceof BusyError)) throw error
    console.error(`${error.message} Waiting for it…`)
  }
}
