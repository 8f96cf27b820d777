// `headway gateway`: one gateway, until SIGTERM.

import { configHelp } from '../config/help.ts'
import { runGateway, type RunningGateway } from '../main.ts'
import { UsageError, tellFault, untilToldToStop, type Command } from './command.ts'

export const command: Command = {
  summary: 'a gateway: sockets, HTTP, the dashboard',

  help: () => `headway gateway

Runs one gateway until SIGTERM or SIGINT; a second one, a second later, ends it at once. Any number of them may run on one Redis.

Exit code: 0 stopped as told; 1 it could not start (the configuration has faults, all named; a port is taken; Redis holds another
deployment), or was ended at once; 2 wrong command line. Redis that is away is waited for.

Examples:
  REDIS_URL=redis://127.0.0.1:6379 HEADWAY_JWT_SECRET=$(openssl rand -hex 32) headway gateway
  WEBSOCKET_PORT=8766 HEADWAY_JWT_SECRET_FILE=/run/secrets/jwt REDIS_URL=redis+sentinel://s1,s2,s3/primary headway gateway

Configured by the environment:

${configHelp()}`,

  async run (args) {
    const stop = new AbortController()
    const told = untilToldToStop(() => { process.exit(1) })
    void told.then(() => { stop.abort() })
    let gateway: RunningGateway
    try {
      if (args.length > 0) throw new UsageError(`headway gateway takes no arguments, only settings of the environment: ${args.join(' ')}`)
      gateway = await runGateway(process.env, stop.signal)
    } catch (error) {
      return stop.signal.aborted ? 0 : tellFault(error, 'gateway')
    }
    await told
    await gateway.stop()
    return 0
  }
}
