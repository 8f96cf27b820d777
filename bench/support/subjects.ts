// What the fan-out is measured on: Headway and the baselines, each a server on a core of its own that hears the same Redis,
// its sockets, and a way to publish.

import type { RedisServer } from '../../test/support/redis.ts'
import { until } from '../../test/support/wait.ts'
import { createJobs } from './jobs.ts'
import { startLoad, type LoadGenerator } from './loadgen.ts'
import { startNchan } from './nchan.ts'
import { startBaseline, startHeadway, type Server } from './server.ts'
import { headwayPaths } from './tokens.ts'

export type SubjectName = 'headway' | 'ws' | 'socketio' | 'nchan'

export interface Subject {
  name: SubjectName
  pids: readonly number[]
  load: LoadGenerator
  /** One message to each of these jobs, in order. */
  publish (jobs: readonly number[]): Promise<void>
  end (): Promise<void>
}

/** Bytes of a baseline's message. */
const MESSAGE_BYTES = 350

export interface Crowd { jobs: number, sockets: number }

/** @returns with all sockets open and every job heard */
export async function startSubject (name: SubjectName, redis: RedisServer, crowd: Crowd): Promise<Subject> {
  await redis.client().flushall()
  const subject = await (name === 'headway' ? headway(redis, crowd) : baseline(name, redis, crowd))
  try {
    const { ready } = await subject.load.open(0, crowd.sockets)
    if (ready < crowd.sockets) throw new Error(`${name}: ${ready} of ${crowd.sockets} sockets could connect`)
    const probe = redis.client()
    const heard = async (): Promise<number> => (await probe.pubsub('CHANNELS', name === 'headway' ? 'hw:*' : '*job:*') as string[]).length
    await until(async () => await heard() >= crowd.jobs, { what: `${name} hears all jobs`, interval_ms: 50 })
    return subject
  } catch (error) {
    await subject.end()
    throw error
  }
}

async function headway (redis: RedisServer, { jobs: count, sockets }: Crowd): Promise<Subject> {
  const server = await startHeadway(redis.url)
  try {
    const jobs = await createJobs(redis.url, count)
    const load = await startLoad({ port: server.port, paths: headwayPaths(jobs.ids, sockets), speech: 'headway', marker: '"seq":' })
    return {
      name: 'headway',
      pids: server.pids,
      load,
      publish: (which) => jobs.advance(which),
      async end () {
        await load.end()
        await jobs.stop()
        await server.end()
      }
    }
  } catch (error) {
    await server.end()
    throw error
  }
}

async function baseline (name: 'ws' | 'socketio' | 'nchan', redis: RedisServer, { jobs, sockets }: Crowd): Promise<Subject> {
  const nchan = name === 'nchan' ? await startNchan(redis.url) : null
  const server: Pick<Server, 'port' | 'pids' | 'end'> = nchan ?? await startBaseline(name as 'ws' | 'socketio', redis.url)
  try {
    const query = name === 'socketio' ? '/socket.io/?EIO=4&transport=websocket&job_id=' : '/?job_id='
    const paths = Array.from({ length: sockets }, (_, n) => `${query}${n % jobs}`)
    const load = await startLoad({ port: server.port, paths, speech: name === 'socketio' ? 'socketio' : 'plain', marker: '"n":' })
    const publisher = redis.client()
    const last = new Array<number>(jobs).fill(0)
    return {
      name,
      pids: server.pids,
      load,
      async publish (which) {
        const messages = which.map((job) => {
          const n = (last[job] ?? 0) + 1
          last[job] = n
          return [job, messageOf(job, n)] as const
        })
        if (nchan !== null) return await nchan.publish(messages)
        const pipeline = publisher.pipeline()
        for (const [job, text] of messages) pipeline.publish(`job:${job}`, text)
        await pipeline.exec()
      },
      async end () {
        await load.end()
        await server.end()
      }
    }
  } catch (error) {
    await server.end()
    throw error
  }
}

function messageOf (job: number, n: number): string {
  const message = { n, type: 'video.completed', ts: new Date().toISOString(), job_id: `job_${job}`, data: { id: `item_${n}`, title: '' } }
  message.data.title = 'x'.repeat(MESSAGE_BYTES - JSON.stringify(message).length)
  return JSON.stringify(message)
}
