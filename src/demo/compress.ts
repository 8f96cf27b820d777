// What a worker thread does: one file at a time through brotli, telling how far it is. Nothing is written to disk.

import { open } from 'node:fs/promises'
import { once } from 'node:events'
import { constants, createBrotliCompress } from 'node:zlib'
import { parentPort } from 'node:worker_threads'

const CHUNK_BYTES = 32 * 1024

export interface CompressTask {
  path: string
  /** Brotli's, 0–11. */
  quality: number
  /** Larger files are refused. */
  size_limit_bytes: number
  /** An attempt that takes longer is given up. */
  time_limit_ms: number
}

export type CompressOutcome =
  | { done: true, bytes_in: number, bytes_out: number }
  | { done: false, code: 'unreadable' | 'over_size_limit' | 'over_time_limit', message: string }

/** From the thread: progress of the task it has, or its end. */
export type ThreadMessage = { percent: number } | { outcome: CompressOutcome }

async function compress (task: CompressTask, progress: (percent: number) => void): Promise<CompressOutcome> {
  const began = performance.now()
  const file = await open(task.path, 'r').catch((error: unknown) => error instanceof Error ? error : new Error(String(error)))
  if (file instanceof Error) return { done: false, code: 'unreadable', message: file.message }
  try {
    const { size } = await file.stat()
    if (size > task.size_limit_bytes) {
      return { done: false, code: 'over_size_limit', message: `${size} bytes, more than the limit of ${task.size_limit_bytes}` }
    }
    const brotli = createBrotliCompress({
      params: { [constants.BROTLI_PARAM_QUALITY]: task.quality, [constants.BROTLI_PARAM_SIZE_HINT]: size }
    })
    let bytesIn = 0
    let bytesOut = 0
    brotli.on('data', (chunk: Buffer) => { bytesOut += chunk.length })
    for await (const chunk of file.createReadStream({ highWaterMark: CHUNK_BYTES, autoClose: false })) {
      await new Promise<void>((resolve, reject) => {
        brotli.write(chunk, error => { if (error == null) resolve(); else reject(error) })
      })
      bytesIn += (chunk as Buffer).length
      if (performance.now() - began > task.time_limit_ms) {
        brotli.destroy()
        const percent = Math.floor(bytesIn / size * 100)
        return { done: false, code: 'over_time_limit', message: `${percent} % after ${task.time_limit_ms} ms at quality ${task.quality}` }
      }
      progress(bytesIn / Math.max(1, size) * 100)
    }
    brotli.end()
    await once(brotli, 'end')
    return { done: true, bytes_in: bytesIn, bytes_out: bytesOut }
  } catch (error) {
    return { done: false, code: 'unreadable', message: error instanceof Error ? error.message : String(error) }
  } finally {
    await file.close()
  }
}

parentPort?.on('message', (task: CompressTask) => {
  const tell = (message: ThreadMessage): void => { parentPort?.postMessage(message) }
  void compress(task, percent => { tell({ percent }) }).then(outcome => { tell({ outcome }) })
})
