// A gateway's figures for Prometheus. Labels are words of the protocol, never a job, a tenant or an address: their number is bounded.

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Engine } from '../engine/engine.ts'
import type { Tally } from './tally.ts'

export interface Metrics {
  readonly content_type: string
  text: () => Promise<string>
  /** Figures that others keep. */
  add: (part: { register: (registry: Registry) => void }) => void
}

export interface MetricsOptions {
  engine: Pick<Engine, 'drained' | 'hearing' | 'onDrained' | 'writes_outbox'>
  tally: Tally
  connections: () => { sockets: number, streams: number }
  rooms: () => { jobs: number, tenants: number }
  ready: () => boolean
}

/** Seconds of Redis. A call is kept at about 1 ms (engine/drain.ts), and p99 below 3. */
const CALL_BOUNDS_S = [0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25]
/** A call takes at most 256, and the entry that reaches that as a whole. */
const BATCH_BOUNDS = [1, 4, 16, 64, 128, 256]

type Samples = () => Iterable<readonly [labels: Record<string, string>, value: number]>

export function createMetrics ({ engine, tally, connections, rooms, ready }: MetricsOptions): Metrics {
  const registry = new Registry()
  // Event-loop delay, memory, garbage collection, file descriptors: under the names that every Node dashboard knows.
  collectDefaultMetrics({ register: registry })

  function gauge (name: string, help: string, samples: Samples, labelNames: string[] = []): void {
    registry.registerMetric(new Gauge({
      name: `headway_${name}`,
      help,
      labelNames,
      registers: [],
      collect () { for (const [labels, value] of samples()) this.set(labels, value) }
    }))
  }

  function counter (name: string, help: string, samples: Samples, labelNames: string[] = []): void {
    registry.registerMetric(new Counter({
      name: `headway_${name}_total`,
      help,
      labelNames,
      registers: [],
      collect () {
        this.reset()
        for (const [labels, value] of samples()) this.inc(labels, value)
      }
    }))
  }

  const one = (value: () => number): Samples => () => [[{}, value()]]
  const flag = (value: boolean): number => value ? 1 : 0
  function each<Key extends string | number> (label: string, counts: () => Iterable<readonly [Key, number]>): Samples {
    return () => [...counts()].map(([key, value]) => [{ [label]: String(key) }, value])
  }

  gauge('connections', 'Open connections of watchers.', each('kind', () => {
    const { sockets, streams } = connections()
    return [['websocket', sockets], ['sse', streams]]
  }), ['kind'])
  gauge('rooms', 'Jobs and tenants that somebody watches here.', each('kind', () => Object.entries(rooms())), ['kind'])
  gauge('ready', '1 = this gateway wants clients.', one(() => flag(ready())))
  gauge('hearing', '1 = what this gateway publishes to itself comes back.', one(() => flag(engine.hearing())))

  counter('writes', 'Writes to WebSocket connections.', one(() => tally.writes))
  counter('deliveries', 'Messages written to WebSocket connections.', one(() => tally.frames))
  counter('delivered_bytes', 'Bytes of these messages.', one(() => tally.bytes))
  counter('progress_conflated', 'Progress that a newer one replaced before it was sent.', one(() => tally.conflated))
  registry.registerMetric(tally.age)
  counter('behind', 'Times that a subscription got nothing because its socket was behind.', one(() => tally.behind))
  counter('joins', 'Watchers that began, or began anew, by how.', each('outcome', () => Object.entries(tally.joins)), ['outcome'])
  counter('joins_from_memory', 'Watchers seated without asking Redis.', one(() => tally.from_memory))
  counter('rechecks', 'Rooms read again because something may have been missed.', one(() => tally.rechecks))
  counter('rechecks_failed', 'Of these, those that Redis did not answer.', one(() => tally.rechecks_failed))
  counter('sockets_closed', 'WebSockets that have ended, by close code, `other` for those of clients\' own.', each('code', () => tally.closed), ['code'])
  counter('refused_messages', 'Messages on sockets answered with an error, by its code.', each('code', () => tally.refused), ['code'])
  counter('connections_refused', 'Sockets and streams that were not taken, by what was exhausted.', each('reason', () => tally.turned_away), ['reason'])
  counter('http_answers', 'HTTP answers, refused upgrades among them; route is the pattern, not the path.', () => [...tally.answered].map(([key, value]) => {
    const [route = '', status = ''] = key.split(' ')
    return [{ route, status }, value]
  }), ['route', 'status'])

  gauge('persister_expected', '1 = changes wait in Redis for a persister: there is a sink.', one(() => flag(engine.writes_outbox)))

  const drained = (): ReturnType<Engine['drained']> => engine.drained()
  counter('drain_calls', 'Calls of the reducer.', one(() => drained().calls))
  counter('drain_entries', 'Stream entries read.', one(() => drained().entries))
  counter('drain_events', 'Events by what they did.', each('effect', () => {
    const { applied, repeated, ignored, rejected, gaps } = drained()
    return Object.entries({ applied, repeated, ignored, rejected, producer_gap: gaps })
  }), ['effect'])
  counter('drain_rejected', 'Rejected events by the code of the refusal.', each('code', () => drained().refusals), ['code'])
  counter('timers_fired', 'Due times that fired.', one(() => drained().timers))
  counter('drain_redis_seconds', 'Time of Redis spent in the reducer.', one(() => drained().redis_us / 1e6))
  const histogram = (name: string, help: string, buckets: number[]): Histogram =>
    new Histogram({ name: `headway_${name}`, help, buckets, registers: [registry] })
  const duration = histogram('drain_duration_seconds', 'Time of Redis in a call of the reducer that found something.', CALL_BOUNDS_S)
  const batch = histogram('drain_batch_events', 'Events that such a call took.', BATCH_BOUNDS)
  engine.onDrained(({ consumed, timers, elapsed_us: elapsedUs, applied, repeated, ignored, rejected, gaps }) => {
    // Idle sweeps, some dozens a second, would hide the others.
    if (consumed + timers === 0) return
    duration.observe(elapsedUs / 1e6)
    if (consumed > 0) batch.observe(applied + repeated + ignored + rejected + gaps)
  })
  counter('epochs', 'New epochs issued here: Redis may have lost writes.', one(() => drained().epochs))
  gauge('partitions_halted', 'Partitions whose events wait, by why.', each('reason', () => Object.entries(drained().halted)), ['reason'])
  gauge('ingest_lag_seconds', 'Age of the newest entry when it was last drained here.', one(() => drained().lag_ms / 1_000))

  return { content_type: registry.contentType, text: () => registry.metrics(), add (part) { part.register(registry) } }
}
