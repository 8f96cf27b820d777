// Loaded into a measured server by --import: SIGUSR2 collects all garbage, so that its memory can be read from outside.

process.on('SIGUSR2', () => {
  globalThis.gc?.()
  globalThis.gc?.()
  process.stdout.write('collected\n')
})
