// Who may be told of a change: filters of a subscription, tables that are published, and row-level security, which Postgres itself
// decides under the subscriber's role and claims, on the row as it is by then.

import pg from 'pg'
import { quoted, type Relation, type Values } from './realtime-changes.ts'
import type { Claims } from './realtime-socket.ts'

export interface Filter { column: string, operator: keyof typeof OPERATORS, value: string }

const OPERATORS = { eq: '=', neq: '<>', lt: '<', lte: '<=', gt: '>', gte: '>=', in: '= any' } as const

/** @throws Error when it is none: `column=operator.value`, several joined by commas */
export function parseFilters (text: string | undefined): Filter[] {
  if (text === undefined || text.trim() === '') return []
  return text.split(/,(?![^(]*\))/).map((part) => {
    const [, column = '', operator = '', value = ''] = /^\s*([^=]+)=([a-z]+)\.(.*)$/s.exec(part) ?? []
    if (!(operator in OPERATORS)) throw new Error(`Error parsing \`filter\` params: ["${part}"]`)
    return { column, operator: operator as Filter['operator'], value: operator === 'in' ? `{${value.replace(/^\(|\)$/g, '')}}` : value }
  })
}

export interface Sight {
  visible: boolean
  /** Columns that the role may read. */
  columns: readonly string[]
  /** What the subscriber is told instead of the row. */
  error: string | null
}

export interface Rows {
  published (schema: string, table: string): Promise<boolean>
  matches (relation: Relation, record: Values, filters: readonly Filter[]): Promise<boolean>
  /** @param record null = deleted: nobody can look at it any more, so its key goes to everybody */
  sight (relation: Relation, record: Values | null, claims: Claims): Promise<Sight>
  stop (): Promise<void>
}

export function createRows (connectionString: string, publication: string): Rows {
  const pool = new pg.Pool({ connectionString, max: 2, application_name: 'realtime-stand-in' })
  pool.on('error', () => {}) // an idle connection that broke; the next question gets another

  async function isThere (relation: Relation, record: Values, claims: Claims): Promise<boolean> {
    const keys = relation.columns.filter(({ primary }) => primary)
    const where = keys.map(({ name, format }, at) => `${quoted(name)} = $${at + 1}::text::${format}`).join(' and ')
    const client = await pool.connect()
    try {
      await client.query('begin')
      await client.query("select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)", [claims.role, JSON.stringify(claims)])
      const { rows: [row] } = await client.query<{ there: boolean }>(
        `select exists (select from ${relation.name} where ${where}) as there`, keys.map(({ name }) => String(record[name])))
      return row?.there ?? false
    } finally {
      await client.query('rollback').then(() => { client.release() }, (error: Error) => { client.release(error) })
    }
  }

  return {
    async published (schema, table) {
      const { rowCount } = await pool.query(`select from pg_publication_tables where pubname = $1 and ($2 = '*' or schemaname = $2)
        and ($3 = '*' or tablename = $3) limit 1`, [publication, schema, table])
      return rowCount === 1
    },
    async matches (relation, record, filters) {
      for (const { column, operator, value } of filters) {
        const format = relation.columns.find(({ name }) => name === column)?.format
        if (format === undefined || !(column in record)) return false
        const has = record[column]
        const other = operator === 'in' ? `($2::text::${format}[])` : ` $2::text::${format}`
        const { rows: [row] } = await pool.query<{ holds: boolean | null }>(`select $1::text::${format} ${OPERATORS[operator]}${other} as holds`,
          [has === null || typeof has !== 'object' ? has : JSON.stringify(has), value])
        if (row?.holds !== true) return false
      }
      return true
    },
    async sight (relation, record, claims) {
      const { rows } = await pool.query<{ name: string }>(
        "select name from unnest($1::text[]) as name where has_column_privilege($2, $3::regclass, name, 'SELECT')",
        [relation.columns.map(({ name }) => name), claims.role, relation.name])
      const columns = rows.map(({ name }) => name)
      const keys = relation.columns.filter(({ primary }) => primary)
      const refuse = (error: string): Sight => ({ visible: false, columns, error })
      if (keys.length === 0) return refuse('Error 400: Bad Request, no primary key')
      if (keys.some(({ name }) => !columns.includes(name))) return refuse('Error 401: Unauthorized')
      return { visible: !relation.row_security || record === null || await isThere(relation, record, claims), columns, error: null }
    },
    stop: () => pool.end()
  }
}
