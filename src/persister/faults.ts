// What an error of the database asks for: by its code first, by the HTTP status second.

import { SinkError, type PersistAnswer, type Batch, type SinkFault } from './sink.ts'

const RETRY_CODES = /^(57014|55P03|40001|40P01|57P0[123]|53...|08...|PGRST00[0-3])$/
/** Data that the tables can never take. 23503 and 23505 are told with the same status as races, and are not data's fault here. */
const POISON_CODES = /^(22...|23502|23514)$/
const CONFIGURATION_CODES = /^(42...|3F000|3D000|28...|PGRST(1..|2..|3..))$/

export function faultOf (code: string, status: number): SinkFault {
  if (RETRY_CODES.test(code)) return 'retry'
  if (POISON_CODES.test(code)) return 'poison'
  if (status === 413) return 'shrink'
  if (CONFIGURATION_CODES.test(code)) return 'configuration'
  if ([401, 402, 403, 404, 405].includes(status)) return 'configuration'
  return 'retry'
}

const MESSAGE_CHARS_MAX = 200

/**
 * A message for logs. Of the database's own text only what names no value stays: it may quote the row that failed.
 *
 * @param text as the database or a gateway in between said it
 */
export function safeMessage (code: string, status: number, text: string): string {
  const told = code === '' ? text.replace(/<[^>]*>/g, ' ') : text
  const short = told.replace(/\([^)]*\)/g, '(…)').replace(/"[^"]{65,}"/g, '"…"').replace(/\bsb_\w+|\beyJ[\w.-]+/g, '…').replace(/\s+/g, ' ').trim().slice(0, MESSAGE_CHARS_MAX)
  // 22…: invalid input, quoted in the message itself
  return [code, status > 0 ? `HTTP ${status}` : '', POISON_CODES.test(code) ? 'the database refuses a value' : short].filter(part => part !== '').join(': ')
}

/**
 * Several wrong addresses answer as if all were well (an empty 404 does). Only the function itself can count what it was sent.
 *
 * @throws SinkError configuration
 */
export function checkAnswer (answer: unknown, batch: Batch): PersistAnswer {
  const given = typeof answer === 'object' && answer !== null ? answer as Record<string, unknown> : {}
  for (const list of ['jobs', 'items', 'events'] as const) {
    if (given[list] !== batch[list].length || typeof given[`${list}_written`] !== 'number') {
      throw new SinkError('configuration', `headway_persist was sent ${batch[list].length} ${list} and its answer does not say so: ` +
        'something else answers at this address, or the schema is of another version')
    }
  }
  return answer as PersistAnswer
}
