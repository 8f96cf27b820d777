// Baseline of the fan-out: Socket.IO with its Redis adapter, WebSocket transport only, a room for each job.
//
// The kindest way for it: each server hears the job's channel itself and emits to its own sockets (`local`), which encodes once
// a message and spares the adapter's way over Redis.

import { createServer } from 'node:http'
import { createAdapter } from '@socket.io/redis-adapter'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'

const url = process.env['REDIS_URL'] ?? ''
const redis = new Redis(url)
const http = createServer((_request, response) => { response.end('ready') })
const server = new Server(http, {
  transports: ['websocket'], serveClient: false, adapter: createAdapter(new Redis(url), new Redis(url))
})
redis.on('message', (channel: string, text: string) => {
  server.local.to(channel).emit('update', JSON.parse(text))
})
const heard = new Set<string>()
server.on('connection', (socket) => {
  const channel = `job:${String(socket.handshake.query['job_id'])}`
  void socket.join(channel)
  if (!heard.has(channel)) {
    heard.add(channel)
    void redis.subscribe(channel)
  }
})
http.listen(Number(process.env['PORT']), '127.0.0.1', 4_096)
