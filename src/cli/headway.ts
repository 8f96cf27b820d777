#!/usr/bin/env -S node --max-semi-space-size=4
// The `headway` command: finds the command's file and runs it. Each command is one file, with its own --help.
// (The flag above bounds the young generation: at Node's own 16 MiB it is 4 KB for each of 10,000 sockets. docs/benchmarks.md)

import type { Command } from './command.ts'

const COMMANDS: Record<string, () => Promise<{ command: Command }>> = {
  capacity: async () => await import('./capacity.ts'),
  config: async () => await import('./config.ts'),
  control: async () => await import('./control.ts'),
  doctor: async () => await import('./doctor.ts'),
  gateway: async () => await import('./gateway.ts'),
  migrate: async () => await import('./migrate.ts'),
  persister: async () => await import('./persister.ts'),
  jobs: async () => await import('./jobs.ts'),
  start: async () => await import('./start.ts'),
  submit: async () => await import('./submit.ts'),
  token: async () => await import('./token.ts'),
  watch: async () => await import('./watch.ts')
}

const EXIT_GRACE_MS = 300

async function run (args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    console.log(await overview())
    return name === undefined ? 2 : 0
  }
  if (name === '--version' || name === '-v') {
    const { VERSION } = await import('../monitor/build.ts')
    const revision = process.env['HEADWAY_REVISION']
    console.log(`headway ${VERSION}, node ${process.versions.node}${revision ? `, revision ${revision}` : ''}`)
    return 0
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (load === undefined) {
    console.error(`headway: there is no command ${name}. ${Object.keys(COMMANDS).join(', ')} are; see headway --help`)
    return 2
  }
  const { command } = await load()
  if (rest.includes('--help') || rest.includes('-h')) {
    console.log(await command.help())
    return 0
  }
  return await command.run(rest)
}

async function overview (): Promise<string> {
  const lines = await Promise.all(Object.entries(COMMANDS).map(async ([name, load]) => {
    try {
      return [`  ${name.padEnd(10)}${(await load()).command.summary}`]
    } catch (error) {
      // The image is without the demo.
      if (name === 'start' && (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return []
      throw error
    }
  }))
  return ['headway <command> [options]', '', ...lines.flat(), '', 'headway <command> --help tells more; headway --version says which one this is.'].join('\n')
}

// `headway jobs | head` closes the pipe: enough was read.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})
process.exitCode = await run(process.argv.slice(2))
// Clients of Redis keep a timer for each command that was not answered any more: nothing to wait seconds for.
setTimeout(() => { process.exit() }, EXIT_GRACE_MS).unref()
