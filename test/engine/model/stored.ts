// What stands in Redis, read byte by byte into plain objects: a third reader of docs/engine.md §4–§6, apart from the engine's
// own decoder. `stored*` reads Redis's side, `expected*` shows the model's side in the same shape.

import type { Item, Job, LogFact, Logged, Message } from './facts.ts'
import { counted } from './job.ts'

export type Shape = Record<string, unknown>

const text = (column: string | undefined): string | null =>
  column === undefined || column === '' ? null : column.replaceAll('%0A', '\n').replaceAll('%09', '\t').replaceAll('%25', '%')
const number = (column: string | undefined): number | null => column === undefined || column === '' ? null : Number(column)
const flag = (column: string | undefined): boolean => column === '1'
const numbers = (column: string | undefined, count: number): (number | null)[] => {
  const parts = (column ?? '').split(',')
  return Array.from({ length: count }, (_, n) => number(parts[n]))
}
const orZero = (values: (number | null)[]): number[] => values.map((value) => value ?? 0)

// ---- header

export function storedHeader (header: string): Shape {
  const c = header.split('\t')
  const [, lid, epoch, seq, rev, state, flags, retryAt, itemsTotal] = c
  const [completed, failed, retryable, skipped, canceled, processing, pending] = orZero(c.slice(9, 16).map(number))
  const [id, action, at, acked] = (c[27] ?? '').split(',')
  const [samples, sum, mean, weight, paceAt] = numbers(c[29], 5)
  const store = numbers(c[30], 6)
  return {
    columns: c.length,
    format: c[0],
    lid,
    epoch: number(epoch),
    seq: number(seq),
    rev: number(rev),
    state,
    flags: [...flags ?? ''].filter((letter) => letter !== 'W' && letter !== 'X').toSorted().join(''),
    retry_at: number(retryAt),
    items_total: number(itemsTotal),
    counted: { completed, failed, retryable, skipped, canceled, processing, pending },
    partial: number(c[16]) ?? 0,
    reported: numbers(c[17], 4),
    initial: orZero(numbers(c[18], 4)),
    created: number(c[19]),
    started: number(c[20]),
    proc_ms: number(c[21]) ?? 0,
    proc_since: number(c[22]),
    life: number(c[23]),
    updated: number(c[24]),
    state_since: number(c[25]),
    idle_since: number(c[26]),
    control: { id: text(id), action: text(action), at: number(at), acked: flag(acked) },
    deadline_ms: number(c[28]),
    pace: { samples: samples ?? 0, sum: sum ?? 0, mean: mean ?? 0, weight: weight ?? 0, at: paceAt },
    log_events: store[2] ?? 0,
    items_seen: store[4] ?? 0,
    reason: text(c[31])
  }
}

export function expectedHeader (job: Job, logEvents: number): Shape {
  const { registration } = job
  const four = (values: { completed: unknown, failed: unknown, skipped: unknown, canceled: unknown }): unknown[] =>
    [values.completed, values.failed, values.skipped, values.canceled]
  const letters: [boolean, string][] = [
    [registration.auto_complete, 'A'], [job.deadline_exceeded, 'D'], [registration.fail_on_deadline, 'F'],
    [job.heartbeat, 'H'], [job.rate_limited, 'R'], [job.stalled, 'S']
  ]
  const inProcess = [...job.items.values()].filter((item) => item.state === 'processing')
  return {
    columns: 32,
    format: '1',
    lid: job.lid,
    epoch: job.epoch,
    seq: job.seq,
    rev: job.rev,
    state: job.state,
    flags: letters.filter(([set]) => set).map(([, letter]) => letter).join(''),
    retry_at: job.retry_at,
    items_total: job.items_total,
    counted: counted(job),
    partial: inProcess.reduce((sum, item) => sum + item.percent, 0),
    reported: four(job.reported),
    initial: four(registration.initial),
    created: job.created_wall,
    started: job.started_wall,
    proc_ms: job.proc_ms,
    proc_since: job.proc_since,
    life: job.life,
    updated: job.updated_wall,
    state_since: job.state_since,
    idle_since: job.idle_since,
    control: { ...job.control },
    deadline_ms: registration.deadline_ms,
    pace: { ...job.pace },
    log_events: logEvents,
    items_seen: job.items.size,
    reason: job.reason
  }
}

// ---- registration and items

function storedRegistration (registration: string): Shape {
  const c = registration.split('\t')
  return {
    format: c[0],
    items_total: number(c[1]),
    job_kind: text(c[2]),
    item_kind: text(c[3]),
    concurrency: number(c[4]),
    deadline_ms: number(c[5]),
    flags: [...c[6] ?? ''].toSorted().join(''),
    title: text(c[7]),
    metadata: text(c[8])
  }
}

function expectedRegistration ({ registration }: Job): Shape {
  return {
    format: '1',
    items_total: registration.items_total,
    job_kind: registration.job_kind,
    item_kind: registration.item_kind,
    concurrency: registration.concurrency,
    deadline_ms: registration.deadline_ms,
    flags: (registration.auto_complete ? 'A' : '') + (registration.fail_on_deadline ? 'F' : ''),
    title: registration.title,
    metadata: registration.metadata_json
  }
}

function storedItem (c: readonly string[]): Shape {
  return {
    state: c[0],
    attempt: number(c[1]),
    retryable: flag(c[2]),
    percent: number(c[3]) ?? 0,
    started: number(c[4]),
    duration_ms: number(c[5]),
    created_wall: number(c[6]),
    updated_wall: number(c[7]),
    truncated: flag(c[8]),
    row_index: number(c[9]),
    weight: number(c[10]),
    title: text(c[11]),
    kind: text(c[12]),
    worker: text(c[13]),
    error_json: text(c[14]),
    result_json: text(c[15])
  }
}

const expectedItem = (item: Item): Shape => ({ ...item })

// ---- events

/** @param rest what its place adds: seq and rev in the log, nothing in a message */
function storedEvent (line: string, rest: Shape): Shape {
  const [letter = '', ts, cid, ...c] = line.split('\t')
  const head = { letter, ts: number(ts), cid: text(cid), ...rest }
  switch (letter) {
    case 'S': return { ...head, prior: c[0], next: c[1], forced: flag(c[2]), reason: text(c[3]) }
    case 'L': return { ...head, retry_at_wall: number(c[0]), reason: text(c[1]) }
    case 'F': return { ...head, state: c[0], reason: text(c[1]) }
    case 'l': case 'T': case 't': case 'D': return head
    default: return { ...head, id: c[0], item: storedItem(c.slice(1)) }
  }
}

const expectedEvent = (event: LogFact | Logged): Shape => 'item' in event ? { ...event, item: expectedItem(event.item) } : { ...event }

// ---- a whole job

export function storedJob (hash: Record<string, string>): Shape {
  const names = Object.keys(hash)
  const numbered = (kind: string): string[] => names.filter((name) => name.startsWith(kind))
    .toSorted((a, b) => Number(a.slice(2)) - Number(b.slice(2)))
  const pages = numbered('o:').map((name) => (hash[name] ?? '').split('\t'))
  return {
    header: storedHeader(hash['_'] ?? ''),
    registration: storedRegistration(hash['r'] ?? ''),
    items: Object.fromEntries(names.filter((name) => name.startsWith('i:')).toSorted()
      .map((name) => [name.slice(2), storedItem((hash[name] ?? '').split('\t'))])),
    order: pages.flat(),
    pages_full: pages.slice(0, -1).every((page) => page.length === 16),
    durations: hash['s'] === undefined || hash['s'] === '' ? [] : hash['s'].split(',').map(Number),
    plain_state: hash['state'],
    plain_control: hash['control'] ?? '',
    log: numbered('l:').flatMap((name) => storedChunk(hash[name] ?? ''))
  }
}

function storedChunk (chunk: string): Shape[] {
  const [head = '', ...lines] = chunk.split('\n')
  const [, epoch, rev, from, to] = head.split('\t').map(Number)
  if (lines.length > 1 && Buffer.byteLength(chunk) > 4_000) throw new Error(`a chunk of ${Buffer.byteLength(chunk)} bytes`)
  if (lines.length !== Number(to) - Number(from) + 1) throw new Error(`a chunk of ${lines.length} lines says ${from} to ${to}`)
  return lines.map((line, n) => storedEvent(line, { seq: Number(from) + n, rev, epoch }))
}

/** @param kept how many events of the log Redis still holds */
export function expectedJob (job: Job, log: readonly Logged[], epoch: number, kept: number): Shape {
  return {
    header: expectedHeader(job, kept),
    registration: expectedRegistration(job),
    items: Object.fromEntries([...job.items].toSorted(([a], [b]) => a < b ? -1 : 1).map(([id, item]) => [id, expectedItem(item)])),
    order: [...job.items.keys()],
    pages_full: true,
    durations: job.durations,
    plain_state: job.state,
    plain_control: job.control.id ?? '',
    log: log.slice(log.length - kept).map((event) => ({ ...expectedEvent(event), epoch }))
  }
}

// ---- messages

export function storedMessage (message: string): Shape {
  const [first = '', header = '', registration = '', ...lines] = message.split('\n')
  const c = first.split('\t')
  if (c[0] === '1g') return { type: 'gone', epoch: number(c[1]), rev: number(c[2]), tenant: c[3], id: c[4] }
  const [from, to] = [Number(c[2]), Number(c[3])]
  const logged = to - from + 1
  return {
    type: 'update',
    epoch: number(c[1]),
    seq_from: from,
    seq_to: to,
    gap_ms: number(c[4]),
    tenant: c[5],
    id: c[6],
    header: withoutLogSize(storedHeader(header)),
    registration: registration === '' ? null : storedRegistration(registration),
    events: lines.slice(0, logged).map((line) => storedEvent(line, {})),
    progress: byItem(lines.slice(logged).map((line) => storedEvent(line, {})))
  }
}

const byItem = (lines: readonly Shape[]): Shape => Object.fromEntries(lines.map((line) => [String(line['id']), line]))

export function expectedMessage (message: Message, gapMs: number): Shape {
  if (message.type === 'gone') return { ...message }
  return {
    type: 'update',
    epoch: message.epoch,
    seq_from: message.seq_from,
    seq_to: message.seq_to,
    gap_ms: gapMs,
    tenant: message.job.tenant,
    id: message.job.id,
    header: withoutLogSize(expectedHeader(message.job, 0)),
    registration: message.registered ? expectedRegistration(message.job) : null,
    events: message.events.map(expectedEvent),
    progress: byItem(message.progress.map(expectedEvent))
  }
}

/** What a tenant's channel says of the jobs of one drain. */
export function storedTenantMessage (message: string, tenant: string): Shape[] {
  const [first = '', ...lines] = message.split('\n')
  const gapMs = number(first.split('\t')[1])
  return lines.map((line) => {
    const [kind, id, epoch, ...rest] = line.split('\t')
    const head = { tenant, id, epoch: number(epoch) }
    return kind === 'g' ? { ...head, rev: number(rest[0]) } : { ...head, gap_ms: gapMs, header: withoutLogSize(storedHeader(rest.join('\t'))) }
  })
}

export function expectedTenantLine (message: Shape): Shape {
  const { tenant, id, epoch, gap_ms: gapMs, rev, header } = message
  return message['type'] === 'gone' ? { tenant, id, epoch, rev } : { tenant, id, epoch, gap_ms: gapMs, header }
}

function withoutLogSize (header: Shape): Shape {
  const { log_events: _, ...rest } = header
  return rest
}
