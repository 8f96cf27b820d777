// What the Realtime stand-in tells of: committed changes of the tables of a publication, in the order of their commits, read from a
// temporary replication slot over an ordinary connection. Nothing is installed in the database, and a table that nobody published
// stays silent here as there. A lost connection takes the slot with it, and what was written meanwhile is never told: so it is at
// Supabase too.

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { createTupleReader, type Tuple } from './realtime-tuples.ts'

export interface Column {
  name: string
  /** Short name, as subscribers are told: int8. */
  type: string
  /** As in a cast: bigint, character varying(20). */
  format: string
  primary: boolean
}

export interface Relation {
  schema: string
  table: string
  /** Quoted, for a statement. */
  name: string
  columns: Column[]
  row_security: boolean
}

export type Values = Record<string, unknown>

export interface Change {
  type: 'INSERT' | 'UPDATE' | 'DELETE'
  relation: Relation
  /** Null for a deletion. A large value that did not change is absent. */
  record: Values | null
  /** The primary key, or what the table's replica identity keeps; null for an insert. */
  old_record: Values | null
  commit_timestamp: string
}

export interface ChangesParams {
  /** Of a role that may replicate; the server runs with wal_level=logical. */
  database_url: string
  publication: string
  poll_ms: number
  /** The next change waits for it. */
  onChange: (change: Change) => Promise<void>
  onTrouble: (error: Error) => void
}

export interface Changes {
  /** @throws when the first slot cannot be made */
  start (): Promise<void>
  stop (): Promise<void>
}

const READ_MAX = 500
const RECONNECT_MS = 500

export function createChanges (params: ChangesParams): Changes {
  const { database_url: connectionString, publication, poll_ms: pollMs, onChange, onTrouble } = params
  const stopping = new AbortController()
  let running: Promise<void> = Promise.resolve()

  async function connect (): Promise<{ client: pg.Client, slot: string }> {
    const client = new pg.Client({ connectionString, application_name: 'realtime-stand-in', options: '-c timezone=UTC' })
    client.on('error', () => {}) // the next read tells
    await client.connect()
    const slot = `realtime_stand_in_${randomBytes(4).toString('hex')}`
    try {
      await client.query('select pg_create_logical_replication_slot($1, $2, true)', [slot, 'pgoutput'])
    } catch (error) {
      await client.end()
      throw error
    }
    return { client, slot }
  }

  async function readUntilLost ({ client, slot }: { client: pg.Client, slot: string }): Promise<void> {
    const relations = new Map<number, Relation & { order: Column[] }>()
    let committed = ''
    const tuples = createTupleReader({
      begin: (at) => { committed = at },
      async relation (id, schema, table, names) {
        const relation = await describe(client, schema, table)
        const columnOf = (name: string): Column | undefined => relation.columns.find((column) => column.name === name)
        const order = names.map((name) => columnOf(name) ?? { name, type: 'text', format: 'text', primary: false })
        relations.set(id, { ...relation, order })
      },
      async change (type, id, after, before) {
        const relation = relations.get(id)
        if (relation === undefined) return
        const record = after && await typed(client, relation.order, after)
        const before_record = await old(client, relation.order, type, after, before)
        await onChange({ type, relation, record, old_record: before_record, commit_timestamp: committed })
      }
    })
    try {
      const text = 'select data from pg_logical_slot_get_binary_changes($1, null, $2, $3, $4, $5, $6)'
      while (!stopping.signal.aborted) {
        const { rows } = await client.query<{ data: Buffer }>(text, [slot, READ_MAX, 'proto_version', '1', 'publication_names', publication])
        for (const { data } of rows) await tuples.read(data)
        if (rows.length === 0) await delay(pollMs, undefined, { signal: stopping.signal }).catch(() => {})
      }
    } finally {
      await client.end().catch(() => {})
    }
  }

  async function run (first: { client: pg.Client, slot: string }): Promise<void> {
    for (let session: typeof first | null = first; !stopping.signal.aborted; session = null) {
      try {
        await readUntilLost(session ?? await connect())
      } catch (error) {
        if (stopping.signal.aborted) return
        onTrouble(error as Error)
        await delay(RECONNECT_MS, undefined, { signal: stopping.signal }).catch(() => {})
      }
    }
  }

  return {
    async start () { running = run(await connect()) },
    async stop () {
      stopping.abort()
      await running
    }
  }
}

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

async function describe (client: pg.Client, schema: string, table: string): Promise<Relation> {
  const name = `${quoted(schema)}.${quoted(table)}`
  const { rows: columns } = await client.query<Column>(`
    select a.attname as name, t.typname as type, format_type(a.atttypid, a.atttypmod) as format,
      coalesce(a.attnum = any(p.conkey), false) as primary
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    left join pg_constraint p on p.conrelid = a.attrelid and p.contype = 'p'
    where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum`, [name])
  const { rows: [row] } = await client.query<{ on: boolean }>('select relrowsecurity as on from pg_class where oid = $1::regclass', [name])
  return { schema, table, name, columns, row_security: row?.on ?? false }
}

/** Postgres itself makes JSON of the texts, so that each type looks as it does at Supabase. */
async function typed (client: pg.Client, order: readonly Column[], tuple: Tuple): Promise<Values> {
  const told = order.map((column, at) => ({ column, value: tuple[at] })).filter(({ value }) => value !== undefined)
  if (told.length === 0) return {}
  const fields = told.map(({ column: { name, format } }, at) => `$${at + 1}::text::${format === 'bytea' ? 'text' : format} as ${quoted(name)}`)
  const values = told.map(({ column: { type }, value }) => {
    if (type === 'bytea') return value?.replace(/^\\x/, '')
    return /^(numeric|float[48])$/.test(type) && /nan|inf/i.test(value ?? '') ? null : value
  })
  const { rows: [row] } = await client.query<{ record: Values }>(`select to_jsonb(r) as record from (select ${fields.join(', ')}) r`, values)
  return row?.record ?? {}
}

/** Without a replica identity beyond the key, an update tells no old tuple and a deletion nulls: the key is what is known. */
type Old = (client: pg.Client, order: readonly Column[], type: Change['type'], after: Tuple | null, before: Tuple | null) => Promise<Values | null>
const old: Old = async (client, order, type, after, before) => {
  if (type === 'INSERT') return null
  const known = before ?? after ?? []
  const keyOnly = before === null || before.every((value, at) => value === null || order[at]?.primary === true)
  return await typed(client, order, keyOnly ? known.map((value, at) => order[at]?.primary === true ? value : undefined) : known)
}
