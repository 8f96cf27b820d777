// Baseline of latency: the shortest way from a stream to a socket. One blocking read, one JSON message an entry, one send. No state,
// no order across servers, nothing stored, nobody asked who he is.

import { createServer } from 'node:http'
import { Redis } from 'ioredis'
import { WebSocketServer, type WebSocket } from 'ws'

const redis = new Redis(process.env['REDIS_URL'] ?? '')
const rooms = new Map<string, WebSocket>()

async function relay (): Promise<never> {
  for (let after = '$'; ;) {
    const read = await redis.xread('COUNT', 1000, 'BLOCK', 0, 'STREAMS', 'relay', after)
    for (const [id, [, job = '', , data = '']] of read?.[0]?.[1] ?? []) {
      after = id
      rooms.get(job)?.send(JSON.stringify({ type: 'video.completed', ts: new Date().toISOString(), job_id: job, data: JSON.parse(data) as unknown }))
    }
  }
}

const server = createServer((_request, response) => { response.end('ready') })
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket, request) => {
  const job = new URL(request.url ?? '', 'ws://localhost').searchParams.get('job_id') ?? ''
  rooms.set(job, socket)
  socket.on('error', () => {}).on('close', () => rooms.delete(job))
})
server.listen(Number(process.env['PORT']), '127.0.0.1', 4_096)
void relay()
