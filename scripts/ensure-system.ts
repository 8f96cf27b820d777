// Before the tests: what they need from the operating system. Installs as root on Debian, else says what to type.

import { CHROMIUM, CURL, MissingProgramError, PYTHON_REDIS, REDIS, ensureProgram } from '../src/demo/system-programs.ts'

for (const program of [REDIS, CHROMIUM, CURL, PYTHON_REDIS]) {
  try {
    ensureProgram(program, line => console.log(line))
  } catch (error) {
    if (!(error instanceof MissingProgramError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
