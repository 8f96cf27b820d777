// Programs of the operating system that Headway starts but npm does not bring: found on the PATH, installed with
// apt-get as root on Debian (saying so), else explained. Shared by `npm start` and by the tests' preparation.

import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface SystemProgram {
  title: string
  /** Names it goes by; the first found wins. */
  names: readonly string[]
  /** Where it is looked for; absent = on the PATH. */
  path?: string
  /** Arguments with which it must succeed to count as there. */
  proof?: readonly string[]
  /** Package of Debian and its relatives. */
  apt: string
  /** Command for systems whose packages have other names, by the program that installs packages there. */
  elsewhere: Record<string, string>
  /** What does without the program; null = nothing. */
  docker: string | null
}

export const REDIS: SystemProgram = {
  title: 'Redis 7 or Valkey',
  names: ['redis-server', 'valkey-server'],
  apt: 'redis-server',
  elsewhere: {
    brew: 'brew install redis',
    dnf: 'sudo dnf install -y valkey',
    pacman: 'sudo pacman -S --needed valkey',
    apk: 'sudo apk add redis',
    zypper: 'sudo zypper install -y redis'
  },
  docker: 'docker run --rm -d -p 6379:6379 redis:7 && REDIS_URL=redis://localhost:6379 npm start'
}

export const CHROMIUM: SystemProgram = {
  title: 'Chromium',
  names: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'],
  apt: 'chromium',
  elsewhere: {
    brew: 'brew install --cask chromium',
    dnf: 'sudo dnf install -y chromium',
    pacman: 'sudo pacman -S --needed chromium',
    apk: 'sudo apk add chromium',
    zypper: 'sudo zypper install -y chromium'
  },
  docker: null
}

/** Runs the examples of docs/api.md. */
export const CURL: SystemProgram = {
  title: 'curl',
  names: ['curl'],
  apt: 'curl',
  elsewhere: {
    brew: 'brew install curl', dnf: 'sudo dnf install -y curl', pacman: 'sudo pacman -S --needed curl', apk: 'sudo apk add curl', zypper: 'sudo zypper install -y curl'
  },
  docker: null
}

/** Runs docs/examples/worker.py: the system's own, which the package belongs to. */
export const PYTHON_REDIS: SystemProgram = {
  title: 'Python with redis-py',
  names: ['python3'],
  path: '/usr/bin',
  proof: ['-c', 'import redis'],
  apt: 'python3-redis',
  elsewhere: {
    brew: '/usr/bin/python3 -m pip install --user redis',
    dnf: 'sudo dnf install -y python3-redis',
    pacman: 'sudo pacman -S --needed python-redis',
    apk: 'sudo apk add py3-redis',
    zypper: 'sudo zypper install -y python3-redis'
  },
  docker: null
}

/** The program is absent and could not be installed; the message says what to type. */
export class MissingProgramError extends Error {
  override name = 'MissingProgramError'
}

/** @returns the full path of the first of `names` that can be run, or null */
export function findProgram (names: readonly string[], path = process.env.PATH ?? ''): string | null {
  for (const name of names) {
    for (const folder of path.split(delimiter)) {
      if (folder !== '' && isExecutable(join(folder, name))) return join(folder, name)
    }
  }
  return null
}

/**
 * @param say gets a line before anything is installed
 * @returns the program's full path
 * @throws MissingProgramError when it is absent and cannot be installed without asking
 */
export function ensureProgram (program: SystemProgram, say: (line: string) => void): string {
  const found = findWorking(program)
  if (found !== null) return found
  if (canInstall()) {
    say(`${program.title} is not installed; installing the package ${program.apt} with apt-get`)
    install(program.apt)
    const installed = findWorking(program)
    if (installed !== null) return installed
    throw new MissingProgramError(`apt-get did not bring ${program.names.join(' or ')}; try: apt-get install ${program.apt}`)
  }
  throw new MissingProgramError(explain(program))
}

function findWorking ({ names, path, proof }: SystemProgram): string | null {
  const found = findProgram(names, path)
  return found !== null && proof !== undefined && spawnSync(found, proof, { stdio: 'ignore' }).status !== 0 ? null : found
}

function canInstall (): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && findProgram(['apt-get']) !== null
}

/** Lists first: on a fresh machine they are empty. Their failure is not final, an older list may do. */
function install (name: string): void {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'], env: environment })
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name], { stdio: ['ignore', 'ignore', 'inherit'], env: environment })
}

function explain (program: SystemProgram): string {
  const installer = Object.keys(program.elsewhere).find(name => findProgram([name]) !== null)
  const command = installer === undefined ? `sudo apt-get install -y ${program.apt}` : program.elsewhere[installer]
  const lines = [`${program.title} is needed, and none of ${program.names.join(', ')} is ${program.path === undefined ? 'on the PATH' : `in ${program.path} with it`}. Install it with`, `  ${command}`]
  if (program.docker !== null) lines.push('or go without it, by Docker:', `  ${program.docker}`)
  return lines.join('\n')
}

function isExecutable (file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
