// Baseline of connections: ws and nothing else. Every upgrade is accepted; nobody is asked who he is.

import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const server = createServer((_request, response) => { response.end('ready') })
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => { socket.on('error', () => {}) })
server.listen(Number(process.env['PORT']), '127.0.0.1', 4_096)
