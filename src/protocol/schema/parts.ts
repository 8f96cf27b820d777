// Pieces that several schemas share. Nullable fields are one schema of two types, so that a fault gives one message.

import Type, { type TSchema } from 'typebox'
import { ID_PATTERN, ITEM_KIND_PATTERN } from '../ids.ts'
import { LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, NUMBER_MAX, WAIT_MS_MAX } from '../limits.ts'
import type { Timestamp } from '../worker-events.ts'

export const id = (description: string) => Type.String({ pattern: ID_PATTERN.source, description })

export const itemKind = () => Type.String({
  pattern: ITEM_KIND_PATTERN.source,
  default: 'video',
  description: 'Prefix of the job\'s item events.'
})

/** Absent and null are the same. */
export const whole = (description: string, minimum = 0) => Type.Optional(Type.Unsafe<number | null>({
  type: ['integer', 'null'], minimum, maximum: NUMBER_MAX, description
}))

export const number = (description: string, minimum: number, maximum: number) => Type.Optional(Type.Unsafe<number | null>({
  type: ['number', 'null'], minimum, maximum, description
}))

/** Longer text is cut by the packer, not refused, hence no bound here; the body has one. */
export const text = (description: string) => Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'], description }))

export const flag = (description: string) => Type.Optional(Type.Unsafe<boolean | null>({ type: ['boolean', 'null'], description }))

export const instant = (description: string) => Type.Optional(Type.Unsafe<Timestamp | null>({
  type: ['string', 'number', 'null'], description: `${description} ISO 8601 (UTC without a zone) or ms since 1970.`
}))

export const word = <const T extends readonly string[]>(words: T, description: string) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...words], description })

/** A query parameter that arrives as text; see validate.ts for the conversion. */
export const limit = () => Type.Optional(Type.Integer({
  minimum: 1, maximum: LIST_LIMIT_MAX, default: LIST_LIMIT_DEFAULT, description: 'Rows of a page.'
}))

export const waitMs = () => Type.Optional(Type.Integer({
  minimum: 0, maximum: WAIT_MS_MAX, description: 'How long to wait for a job that is not registered yet.'
}))

export const minIntervalMs = () => Type.Optional(Type.Integer({
  minimum: 0, maximum: WAIT_MS_MAX, description: 'Progress at most this often; below HEADWAY_PROGRESS_INTERVAL_MS it has no effect.'
}))

export const cursor = () => Type.Optional(Type.String({ minLength: 1, maxLength: 512, description: '`next_cursor` of the page before.' }))

export const since = () => Type.Optional(Type.String({
  pattern: '^\\d{1,15}\\.\\d{1,15}$', description: 'Last position seen, `<epoch>.<seq>`.'
}))

/** Unknown fields are refused. */
export const strict = <P extends Record<string, TSchema>>(properties: P, description: string) =>
  Type.Object(properties, { additionalProperties: false, description })

/** Unknown fields are let through here, and dropped by the packer. @param title its name in /openapi.json, when several use it */
export const open = <P extends Record<string, TSchema>>(properties: P, description: string, title?: string) =>
  Type.Object(properties, title === undefined ? { description } : { description, title })
