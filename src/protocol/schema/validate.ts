// Schemas into functions. Bodies are taken as they are: a converter would count "5" as 5 and null as 0.
// Paths and query strings are text by nature and are converted first.

import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { HeadwayError } from '../errors.ts'

/** The value itself, converted when asked for, or why it is refused. */
export type Validate = (value: unknown) => { value: unknown } | { error: HeadwayError }

/** @param convert true for text that stands for numbers: paths, query strings */
export function createValidator (schema: TSchema, { convert = false }: { convert?: boolean } = {}): Validate {
  const compiled = Compile(schema)
  return (given) => {
    const value = convert ? compiled.Convert(given) : given
    if (compiled.Check(value)) return { value }
    return { error: refusal(compiled.Errors(value)) }
  }
}

/** For Fastify's setValidatorCompiler, whose own validator would drop unknown fields of control calls and convert bodies. */
export function validatorCompiler ({ schema, httpPart }: { schema: unknown, httpPart?: string | undefined }): Validate {
  return createValidator(schema as TSchema, { convert: httpPart !== 'body' })
}

interface Fault { keyword: string, instancePath: string, message: string, params: object }

const WORDS: Record<string, (params: Record<string, unknown>) => string> = {
  required: ({ requiredProperties }) => `misses ${list(requiredProperties)}`,
  additionalProperties: ({ additionalProperties }) => `has unknown fields: ${list(additionalProperties)}`,
  enum: ({ allowedValues }) => `must be one of ${list(allowedValues)}`,
  type: ({ type }) => `must be of type ${list(type)}`
}

/** All faults in one sentence, at most five, each by its field. */
function refusal (faults: readonly Fault[]): HeadwayError {
  const told = faults.filter(({ keyword }) => keyword !== 'boolean').slice(0, 5).map(({ keyword, instancePath, message, params }) => {
    const field = instancePath.slice(1).replaceAll('/', '.') || 'the input'
    const words = WORDS[keyword]
    return `${field} ${words === undefined ? message : words(params as Record<string, unknown>)}`
  })
  return new HeadwayError('invalid_field', told.join('; '))
}

function list (value: unknown): string {
  return Array.isArray(value) ? value.join(', ') : String(value)
}
