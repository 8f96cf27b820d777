// What the calculator counts with: every number with where it comes from. `measured` ones are of one machine (docs/benchmarks.md: two
// cores of a virtual machine); `chosen` ones are decisions. Sizes hold anywhere, times as far as cores are alike.

export interface Figure {
  value: number
  unit: string
  kind: 'measured' | 'derived' | 'chosen'
  source: string
}

const measured = (value: number, unit: string, source: string): Figure => ({ value, unit, kind: 'measured', source })
const derived = (value: number, unit: string, source: string): Figure => ({ value, unit, kind: 'derived', source })
const chosen = (value: number, unit: string, source: string): Figure => ({ value, unit, kind: 'chosen', source })

/** µs of Redis for an event reduced by itself; what the others are scaled by. */
const ALONE_US = 108
const ALONE_INSTRUCTIONS = 635_000
const scaled = (instructions: number): number => instructions * ALONE_US / ALONE_INSTRUCTIONS

export const FIGURES = {
  delivery_us: measured(5.5, 'µs of a gateway for a message to one socket',
    'benchmarks.md: hot, at 50,000/s. When messages queue, many share a write and it is far less: counted with is the dear case'),
  room_message_us: derived(49.4, 'µs of a gateway for a message of a job that it watches',
    'benchmarks.md: an event with a socket a job (wide), 2 × 30.2, less its two deliveries'),
  deliveries_per_event: measured(2, 'messages of an event', 'benchmarks.md: the event and the job\'s metrics, when it is reduced by itself'),
  message_bytes: measured(585, 'bytes of a message', 'benchmarks.md: bytes a delivery, hot and wide'),
  handshakes_per_s: measured(3_600, 'handshakes/s of a gateway', 'benchmarks.md: connections'),
  socket_bytes: measured(5_800, 'bytes of memory of an idle socket', 'benchmarks.md: 5.6 KiB'),
  gateway_bytes: measured(146_000_000, 'bytes of a gateway without sockets', 'npm run bench -- footprint'),
  event_alone_us: measured(ALONE_US, 'µs of Redis for an event reduced by itself', 'benchmarks.md: latency, 54 % of a core at 5,000/s; everything that Redis does for it'),
  event_batched_us: derived(scaled(82_000), 'µs of Redis for an event in entries of 8', 'engine.md §9: 82,000 of 635,000 instructions'),
  event_scattered_us: derived(scaled(265_000), 'µs of Redis for an event, each of another job', 'engine.md §9: 265,000 of 635,000 instructions'),
  hearing_us: measured(0.9, 'µs of Redis for an event and each further gateway that hears it',
    'npm run bench -- gateways: 20 of 200 hear each message. When little happens it is more, and there is room'),
  sweep_us: measured(97, 'µs of Redis for a look of one gateway at one partition', 'npm run bench -- gateways: idle; its probes and all else in it'),
  job_bytes: measured(33_000, 'bytes in Redis of a job of 100 items and 200 logged events', 'npm run bench -- footprint'),
  outbox_bytes: measured(124, 'bytes in the outbox of an event', 'npm run bench -- footprint'),
  persisted_per_s: measured(20_000, 'events/s of one persister into one Postgres beside it', 'benchmarks.md: persister, one run'),
  cpu_share: chosen(0.6, 'of a core', 'room for peaks, and for what is not counted: collection of garbage, TLS elsewhere, reads of joiners'),
  sockets_max: chosen(20_000, 'sockets of a gateway', 'k8s/base: HEADWAY_SOCKETS_MAX'),
  shard_bytes: chosen(16_000_000_000, 'bytes of memory of a Redis primary', 'a usual size; a larger one takes longer to fail over and to rewrite its log'),
  shard_out_bytes_per_s: chosen(250_000_000, 'bytes/s out of a Redis primary', 'a fifth of 10 Gbit/s'),
  memory_factor: chosen(3, '× the outbox', 'headway doctor: maxmemory'),
  sweeps_per_s: chosen(33, 'looks a second at a partition by all gateways together, at most',
    'one every 30 ms keeps timers to their grain; with many gateways HEADWAY_SWEEP_INTERVAL_MS grows with their number'),
  partitions: chosen(64, 'partitions', 'HEADWAY_PARTITIONS on a Cluster by default; each lies on one primary and is written by one persister')
} as const satisfies Record<string, Figure>

export type FigureName = keyof typeof FIGURES

/** @returns the number alone */
export function figure (name: FigureName): number {
  return FIGURES[name].value
}
