// What a benchmark is: a function that measures, and what it reports.

export interface Goal { name: string, goal: string, value: number, met: boolean }

export interface Report {
  runs: number
  /** Absolute figures, in the unit of their name; only their ratios mean anything on another machine. */
  results: Record<string, number>
  /** Against the baseline measured in the same run. */
  ratios: Record<string, number>
  goals: Goal[]
}

export type Bench = (options: { quick: boolean, say: (line: string) => void }) => Promise<Report>

/** @returns the middle value; of an even number, the lower of the two */
export function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[(sorted.length - 1) >> 1] ?? NaN
}

export function atMost (name: string, limit: number, value: number): Goal {
  return { name, goal: `≤ ${limit}`, value, met: value <= limit }
}

export function atLeast (name: string, limit: number, value: number): Goal {
  return { name, goal: `≥ ${limit}`, value, met: value >= limit }
}
