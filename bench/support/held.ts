// Loaded into a measured server by --import: SIGWINCH begins and ends a look at how long its event loop is held.
//
// A timer of 1 ms fires once a turn, so what lies between two of its ticks is at least one turn. Counted is the CPU that the thread used in
// it: on a machine that others use too, the clock on the wall tells of them (`delay_…`, as monitorEventLoopDelay has it).

import { monitorEventLoopDelay } from 'node:perf_hooks'

interface Look { delay: ReturnType<typeof monitorEventLoopDelay>, held: number[], timer: NodeJS.Timeout }

let look: Look | null = null

function cpuMs (): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

function begin (): Look {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const held: number[] = []
  let last = cpuMs()
  const timer = setInterval(() => {
    const now = cpuMs()
    held.push(now - last)
    last = now
  }, 1)
  return { delay, held, timer }
}

function end ({ delay, held, timer }: Look): object {
  clearInterval(timer)
  delay.disable()
  const sorted = held.sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
  return {
    p50_ms: at(0.5),
    p99_ms: at(0.99),
    max_ms: at(1),
    delay_p99_ms: delay.percentile(99) / 1e6,
    delay_max_ms: delay.max / 1e6
  }
}

process.on('SIGWINCH', () => {
  if (look === null) {
    look = begin()
    process.stdout.write('looking\n')
  } else {
    process.stdout.write(`held ${JSON.stringify(end(look))}\n`)
    look = null
  }
})
