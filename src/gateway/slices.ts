// Something is done to each of very many, in slices: between two of them the event loop turns, and others get on.

/** How long a slice may take, ms. */
const SLICE_MS_MAX = 4
/** Items between two looks at the clock. */
const SLICE_STEP = 64

/**
 * The first slice is at once. Who is added meanwhile has a turn too, who is deleted has none, as in the iteration of a Set.
 * @param now monotonic ms, for tests
 * @returns resolves when all have had their turn
 */
export async function inSlices<T> (items: Iterable<T>, act: (item: T) => void, now: () => number = () => performance.now()): Promise<void> {
  let until = now() + SLICE_MS_MAX
  let looked = 0
  for (const item of items) {
    act(item)
    if (++looked % SLICE_STEP !== 0 || now() < until) continue
    await new Promise(setImmediate)
    until = now() + SLICE_MS_MAX
  }
}
