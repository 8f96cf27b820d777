// Baseline of the fan-out: what one writes first. ws, a room for each job, every message of Redis sent to each socket of the room.

import { createServer } from 'node:http'
import { Redis } from 'ioredis'
import { WebSocketServer, type WebSocket } from 'ws'

const redis = new Redis(process.env['REDIS_URL'] ?? '')
const rooms = new Map<string, Set<WebSocket>>()
redis.on('message', (channel: string, text: string) => {
  for (const socket of rooms.get(channel) ?? []) socket.send(text)
})

const server = createServer((_request, response) => { response.end('ready') })
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket, request) => {
  const channel = `job:${new URL(request.url ?? '', 'ws://localhost').searchParams.get('job_id')}`
  let room = rooms.get(channel)
  if (room === undefined) {
    room = new Set()
    rooms.set(channel, room)
    void redis.subscribe(channel)
  }
  room.add(socket)
  socket.on('error', () => {}).on('close', () => room.delete(socket))
})
server.listen(Number(process.env['PORT']), '127.0.0.1', 4_096)
