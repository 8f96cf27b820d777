// What gateways answer, and where they are.

import { HeadwayError, isErrorCode } from '../protocol/errors.ts'
import type { ErrorCode } from '../protocol/errors.ts'

/** Of one event of a batch. */
export interface Refusal { index: number, code: string, detail: string, allowed?: string[] }

function codeOf (code: unknown): ErrorCode {
  return typeof code === 'string' && isErrorCode(code) ? code : 'internal'
}

export function refusalOf ({ code, detail, allowed = [] }: Refusal): HeadwayError {
  return new HeadwayError(codeOf(code), detail, { allowed })
}

/** What is no problem+json comes from something between: 5xx and 429 are worth another try. */
export function errorOf (url: string, status: number, body: string): HeadwayError {
  const { code, detail } = fieldsOf(body)
  const passing = status >= 500 || status === 429
  const fallback = passing ? 'overloaded' : status === 401 ? 'unauthorized' : status === 403 ? 'forbidden' : 'not_found'
  return new HeadwayError(code === undefined || code === 'internal' ? fallback : codeOf(code), String(detail ?? `${url} answered ${status}`))
}

/** @throws HeadwayError invalid_field */
export function baseOf (url: string): URL {
  let base: URL
  try {
    base = new URL(url.replace(/^ws/, 'http'))
  } catch (cause) {
    throw new HeadwayError('invalid_field', `gatewayUrl ${JSON.stringify(url)} cannot be read; give one like https://headway.example.com`, { cause })
  }
  if (base.protocol !== 'http:' && base.protocol !== 'https:') {
    throw new HeadwayError('invalid_field', `gatewayUrl ${JSON.stringify(url)} is not http: or https:; for Redis use redisUrl`)
  }
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base
}

function fieldsOf (body: string): { code?: unknown, detail?: unknown } {
  try {
    return JSON.parse(body) as { code?: unknown, detail?: unknown }
  } catch {
    return {}
  }
}
