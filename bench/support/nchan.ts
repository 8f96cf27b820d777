// Baseline of the fan-out: Nchan, an nginx module in C, with its channels in Redis. Messages come by HTTP, as Nchan's own
// publishers send them. Without a master, so that nothing stays behind when the process is killed.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnGuarded } from '../../test/support/child.ts'
import { freePorts } from '../../test/support/ports.ts'
import { until } from '../../test/support/wait.ts'
import { onServerCore } from './machine.ts'

const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so'
const NGINX = '/usr/sbin/nginx'

const PUBLISHERS = 8

type Message = readonly [job: number, text: string]

export interface Nchan {
  port: number
  pids: number[]
  publish (messages: readonly Message[]): Promise<void>
  end (): Promise<void>
}

export function hasNchan (): boolean {
  return existsSync(MODULE) && existsSync(NGINX)
}

function configOf (dir: string, port: number, redisUrl: string): string {
  return `load_module ${MODULE};
daemon off;
master_process off;
user root;
worker_rlimit_nofile 60000;
pid ${dir}/pid;
error_log ${dir}/error.log warn;
events { worker_connections 50000; }
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  keepalive_requests 100000000;
  nchan_shared_memory_size 512M;
  upstream redis { nchan_redis_server ${redisUrl}; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /ready { return 200; }
    location = / {
      nchan_subscriber websocket;
      nchan_channel_id job:$arg_job_id;
      nchan_subscriber_first_message newest;
      nchan_redis_pass redis;
    }
    location = /publish {
      nchan_publisher;
      nchan_channel_id job:$arg_job_id;
      nchan_message_buffer_length 1000;
      nchan_redis_pass redis;
    }
  }
}
`
}

/** Pipelined requests: a client of node:http would cost more than what it measures. */
function publisherOn (socket: Socket): (messages: readonly Message[]) => Promise<void> {
  let answered = 0
  let wanted = 0
  let told = (): void => {}
  let failed = (_error: Error): void => {}
  socket.setNoDelay().setEncoding('latin1').on('error', (error) => failed(error)).on('data', (text: string) => {
    if (/HTTP\/1\.1 [45]/.test(text)) failed(new Error(`Nchan answered ${text.slice(0, 40)}`))
    answered += text.split('HTTP/1.1 2').length - 1
    if (answered >= wanted) told()
  })
  return async (messages) => {
    wanted += messages.length
    await new Promise<void>((resolve, reject) => {
      told = resolve
      failed = reject
      socket.write(messages.map(([job, text]) =>
        `POST /publish?job_id=${job} HTTP/1.1\r\nHost: x\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`).join(''))
    })
  }
}

export async function startNchan (redisUrl: string): Promise<Nchan> {
  const dir = mkdtempSync(join(tmpdir(), 'headway-nchan-'))
  const [port = 0] = await freePorts(1)
  writeFileSync(join(dir, 'nginx.conf'), configOf(dir, port, redisUrl))
  const child = await spawnGuarded(...onServerCore(NGINX, ['-c', join(dir, 'nginx.conf'), '-p', dir]))
  const sockets: Socket[] = []
  const end = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await child.end('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    await until(async () => {
      if (!child.running()) throw new Error(child.output())
      return (await fetch(`http://127.0.0.1:${port}/ready`)).ok
    }, { what: 'nginx with Nchan is ready' })
  } catch (error) {
    await end()
    throw error
  }
  const publishers = Array.from({ length: PUBLISHERS }, () => {
    const socket = connect(port, '127.0.0.1')
    sockets.push(socket)
    return publisherOn(socket)
  })

  return {
    port,
    pids: [child.pid],
    // A job has its connection, on which requests are answered in order: two at once might be taken in the wrong one.
    async publish (messages) {
      const parts = Map.groupBy(messages, ([job]) => job % publishers.length)
      await Promise.all([...parts].map(([which, part]) => publishers[which]?.(part)))
    },
    end
  }
}
