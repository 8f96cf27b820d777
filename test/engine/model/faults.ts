// What must be refused: hand-written entries and packed lines with the codes that may answer them.

import type { JobName } from './world.ts'
import type { WireFields } from './wire.ts'

export interface FlatFault { codes: readonly string[], fields: WireFields }

const field = ['invalid_field'] as const
const form = ['malformed_entry', 'invalid_field'] as const
const json = ['malformed_json', 'invalid_field'] as const

/** Whole flat entries. */
export function flatFaults ({ tenant, job }: JobName): FlatFault[] {
  const entry = (type: string, data: string | Buffer, codes: readonly string[]): FlatFault =>
    ({ codes, fields: ['type', type, 'tenant', tenant, 'job', job, 'data', data] })
  const named = (name: string): FlatFault => ({ codes: field, fields: ['type', 'job.state', 'tenant', tenant, 'job', name, 'data', '{"state":"running"}'] })
  return [
    { codes: [...form, 'unknown_type'], fields: ['tenant', tenant, 'job', job, 'data', '{}'] },
    { codes: [...form, 'unknown_type'], fields: ['hello', 'world'] },
    { codes: form, fields: ['type', 'job.state', 'tenant', tenant, 'data', '{"state":"running"}'] },
    { codes: [...form, 'malformed_json'], fields: ['type', 'job.state', 'tenant', tenant, 'job', job] },
    { codes: form, fields: ['type', 'job.heartbeat', 'tenant', tenant, 'job', job, 'data', '{}', 'p', 'someone'] },
    { codes: form, fields: ['type', 'job.heartbeat', 'tenant', tenant, 'job', job, 'data', '{}', 'p', 'someone', 'n', 'one'] },
    named('a/b'), named(''), named('-x'), named('x'.repeat(129)), named('a b'), named('ä'),
    entry('job.explode', '{}', ['unknown_type']),
    entry('job.state', '{"state":"running"', json),
    entry('job.state', '[]', [...json, 'malformed_entry']),
    entry('job.state', '7', [...json, 'malformed_entry']),
    entry('job.state', '', [...json, 'malformed_entry']),
    entry('job.state', '{}', field),
    entry('job.state', '{"state":"flying"}', field),
    entry('job.state', '{"state":7}', field),
    entry('job.state', '{"state":"running","retry_at":"soon"}', field),
    entry('job.state', '{"state":"running","resume":"yes"}', field),
    entry('job.progress', '{"items_completed":NaN}', json),
    entry('job.progress', '{"items_completed":Infinity}', json),
    entry('job.progress', '{"items_completed":1e999}', json),
    entry('job.progress', '{"items_completed":-1}', field),
    entry('job.progress', '{"items_failed":1.5}', field),
    entry('job.progress', '{"items_total":"7"}', field),
    entry('job.progress', '{"items_total":0x10}', json),
    entry('job.register', '{"items_total":3,"item_kind":"job"}', field),
    entry('job.register', '{"items_total":3,"item_kind":"Video!"}', field),
    entry('job.register', '{"items_total":3,"metadata":[1]}', field),
    entry('job.register', `{"items_total":3,"metadata":${'{"a":'.repeat(20)}1${'}'.repeat(20)}}`, ['too_deep']),
    entry('job.register', `{"items_total":3,"metadata":{"a":"${'x'.repeat(4100)}"}}`, field),
    entry('job.control', '{"action":"stop"}', field),
    entry('job.control', '{"reason":"none"}', field),
    entry('item.update', '{"state":"completed"}', field),
    entry('item.update', '{"id":"","state":"completed"}', field),
    entry('item.update', '{"id":"a/b","state":"completed"}', field),
    entry('item.update', '{"id":"i1","state":"done"}', field),
    entry('item.update', '{"id":"i1","percent_complete":101}', field),
    entry('item.update', '{"id":"i1","percent_complete":-0.5}', field),
    entry('item.update', '{"id":"i1","attempt":0}', field),
    entry('item.update', '{"id":"i1","attempt":1.5}', field),
    entry('item.update', '{"id":"i1","duration_ms":-1}', field),
    entry('item.update', `{"id":"i1","title":"${'x'.repeat(17_000)}"}`, ['event_too_large']),
    entry('item.update', Buffer.concat([Buffer.from('{"id":"i1","title":"'), Buffer.from([0xc3, 0x28, 0xff]), Buffer.from('"}')]), ['invalid_utf8'])
  ]
}

export interface LineFault { codes: readonly string[], line: string }

/** Lines of a batch: the events around them are unharmed. */
export function lineFaults ({ tenant, job }: JobName): LineFault[] {
  const line = (letter: string, ...rest: string[]): LineFault => ({ codes: field, line: [letter, tenant, job, '', ...rest].join('\t') })
  const item = (...rest: string[]): LineFault => line('i', ...rest, ...Array<string>(16 - rest.length).fill(''))
  return [
    { codes: ['unknown_type'], line: ['z', tenant, job, '', 'x'].join('\t') },
    { ...line('s', 'flying', '', '', '') },
    { ...line('c', 'stop', '') },
    { ...line('p', '-1', '', '', '', '', '', '') },
    { ...line('p', '', 'NaN', '', '', '', '', '') },
    { ...line('p', '', '1e3', '', '', '', '', '') },
    item('i1', 'done'),
    item('a/b', 'completed'),
    item(''),
    item('i1', 'processing', '0'),
    item('i1', 'processing', 'x'),
    item('i1', 'processing', '', '', '10001')
  ]
}
