// The two measures of a fan-out: at a fixed rate, and as fast as it goes. Both end with the proof that every message came.

import { setTimeout as pause } from 'node:timers/promises'
import { until } from '../../test/support/wait.ts'
import type { Count } from './loadgen.ts'
import { cpuUs, othersCoreUs } from './machine.ts'
import type { Crowd, Subject } from './subjects.ts'

export interface Measured {
  /** Text messages that reached a socket. */
  deliveries: number
  /** Of these, those with a number of their own. */
  advanced: number
  bytes: number
  server_us: number
  generator_us: number
  /** The whole core that is not the server's. */
  others_us: number
  ms: number
}

const TICK_MS = 5
/** Slow enough that each is reduced by itself: a first guess, which the warm-up corrects. */
const CALIBRATION_MESSAGES = 10
const CALIBRATION_MS = 50
/**
 * At the rate that is measured, alike for every subject. In its first seconds a server compiles its code: after a warm-up of 1 s that was
 * 13 % of Headway's CPU in wide, which says nothing about a delivery.
 */
const WARM_UP_MS_MAX = 4_000
/** Of the second measure of a server, which the first has warmed up. */
const AGAIN_MS_MAX = 1_000
/** Messages under way at saturation: enough to keep the server busy, few enough that no queue grows. */
const WINDOW = 100
const POLL_MS = 10
const ARRIVAL_MS_MAX = 15_000

const warmUpMs = (seconds: number): number => Math.min(WARM_UP_MS_MAX, seconds * 1_000)
const againMs = (seconds: number): number => Math.min(AGAIN_MS_MAX, seconds * 300)
interface Cpu { server_us: number, others_us: number }

function cpuOf ({ pids }: Subject): Cpu {
  return { server_us: pids.reduce((sum, pid) => sum + cpuUs(pid), 0), others_us: othersCoreUs() }
}

/** Waits until all that was published has come. @throws Error for a lost or repeated message, or a lost socket */
async function arrived (subject: Subject, expected: number, sockets: number): Promise<Count> {
  let count = await subject.load.count()
  await until(async () => {
    count = await subject.load.count()
    return count.advanced >= expected || count.lost > 0
  }, { what: `${subject.name}: all messages`, timeout_ms: ARRIVAL_MS_MAX }).catch(() => {})
  check(subject, count, expected, sockets)
  return count
}

function check ({ name }: Subject, count: Count, expected: number, sockets: number): void {
  const { lost, repeated, advanced, ended, open, resets } = count
  if (lost + repeated + ended + resets > 0 || advanced !== expected || open !== sockets) {
    throw new Error(`LOST MESSAGE: ${name}: ${advanced} of ${expected} came, ${lost} passed over, ${repeated} repeated, ` +
      `${resets} snapshots that begin anew, ${open} of ${sockets} sockets open`)
  }
}

/** Publishes at a rate, each time the jobs that are due, in turn. @returns how many */
export async function pace (subject: Pick<Subject, 'publish'>, jobs: number, perS: number, ms: number, first: number): Promise<number> {
  const begin = performance.now()
  let sent = 0
  for (let elapsed = 0; elapsed < ms; elapsed = performance.now() - begin) {
    const due = Math.floor(elapsed * perS / 1000) - sent
    if (due > 0) await subject.publish(Array.from({ length: due }, (_, n) => (first + sent + n) % jobs))
    sent += Math.max(0, due)
    await pause(TICK_MS)
  }
  return sent
}

/** Server CPU at `rate` deliveries a second, the same for every subject however many deliveries it makes of an event. */
export async function measurePaced (subject: Subject, { jobs, sockets }: Crowd, rate: number, seconds: number): Promise<Measured> {
  const perEvent = sockets / jobs
  const { advanced: base, frames } = await subject.load.count()
  let sent = 0
  for (; sent < CALIBRATION_MESSAGES; sent++) {
    await subject.publish([sent % jobs])
    await pause(CALIBRATION_MS)
  }
  const calibrated = await arrived(subject, base + sent * perEvent, sockets)
  let perS = rate / ((calibrated.frames - frames) / sent)
  const warmUp = await pace(subject, jobs, perS, warmUpMs(seconds), sent)
  sent += warmUp
  const before = await arrived(subject, base + sent * perEvent, sockets)
  perS = rate / ((before.frames - calibrated.frames) / warmUp)
  const cpu = cpuOf(subject)
  sent += await pace(subject, jobs, perS, seconds * 1000, sent)
  const after = await subject.load.count()
  const used = cpuOf(subject)
  await arrived(subject, base + sent * perEvent, sockets)
  return difference(before, after, { server_us: used.server_us - cpu.server_us, others_us: used.others_us - cpu.others_us })
}

/** Deliveries while the server has always something to send. */
export async function measureSaturated (subject: Subject, { jobs, sockets }: Crowd, seconds: number): Promise<Measured> {
  const perEvent = sockets / jobs
  const first = await subject.load.count()
  let sent = 0
  async function press (ms: number): Promise<Count> {
    const end = performance.now() + ms
    for (;;) {
      const count = await subject.load.count()
      if (performance.now() >= end) return count
      const room = WINDOW - (sent - (count.advanced - first.advanced) / perEvent)
      if (room >= 1) {
        const batch = Math.floor(room)
        await subject.publish(Array.from({ length: batch }, (_, n) => (sent + n) % jobs))
        sent += batch
      }
      await pause(POLL_MS)
    }
  }
  const before = await press(againMs(seconds))
  const cpu = cpuOf(subject)
  const after = await press(seconds * 1000)
  const used = cpuOf(subject)
  await arrived(subject, first.advanced + sent * perEvent, sockets)
  return difference(before, after, { server_us: used.server_us - cpu.server_us, others_us: used.others_us - cpu.others_us })
}

function difference (before: Count, after: Count, cpu: Cpu): Measured {
  return {
    deliveries: after.frames - before.frames,
    advanced: after.advanced - before.advanced,
    bytes: after.bytes - before.bytes,
    ...cpu,
    generator_us: after.cpu_us - before.cpu_us,
    ms: after.at_ms - before.at_ms
  }
}
