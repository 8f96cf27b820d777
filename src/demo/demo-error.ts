// Why the demo could not start, in words that say what to do: no stack needed.

export class DemoError extends Error {
  override name = 'DemoError'
}
