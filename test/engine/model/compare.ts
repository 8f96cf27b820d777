// The differences between two plain values, one line each. Fractions may differ by what rounding at each step adds up to.

const FRACTION_MAX = 0.02

/** @returns `path: expected …, stored …`; empty when they are equal */
export function differences (expected: unknown, stored: unknown, path = ''): string[] {
  if (Object.is(expected, stored)) return []
  if (typeof expected === 'number' && typeof stored === 'number' && close(expected, stored)) return []
  if (isObject(expected) && isObject(stored)) {
    const keys = new Set([...Object.keys(expected), ...Object.keys(stored)])
    return [...keys].flatMap((key) => differences(expected[key], stored[key], path === '' ? key : `${path}.${key}`))
  }
  return [`${path}: expected ${show(expected)}, stored ${show(stored)}`]
}

function close (a: number, b: number): boolean {
  if (Number.isInteger(a) && Number.isInteger(b)) return false
  return Math.abs(a - b) <= Math.max(FRACTION_MAX * Math.min(1, Math.abs(a)), 1e-6 * Math.abs(a))
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function show (value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value)
}
