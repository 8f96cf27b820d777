// The input of the sample job: which files of a folder it takes. Links to files count, broken ones too: they are
// items that cannot be read. Links to folders do not.

import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Folders deeper than this are left out; a bound, not a wish. */
const DEPTH_MAX = 64
const SKIPPED_FOLDERS = new Set(['.git', '.headway'])

/**
 * @param filesMax at most this many, evenly spread over all of them, so that a part is as mixed as the whole
 * @returns paths relative to `folder`, in order
 * @throws Error when the folder itself cannot be read
 */
export async function sampleFiles (folder: string, filesMax: number): Promise<string[]> {
  const all: string[] = []
  await collect(folder, '', 0, all)
  if (all.length <= filesMax) return all
  const step = all.length / filesMax
  return Array.from({ length: filesMax }, (_, n) => all[Math.floor(n * step)] ?? '')
}

async function collect (folder: string, below: string, depth: number, into: string[]): Promise<void> {
  const entries = await readdir(join(folder, below), { withFileTypes: true }).catch((error: unknown) => {
    if (depth === 0) throw error
    return [] as Dirent[] // one closed subfolder is no reason to do nothing
  })
  entries.sort((a, b) => a.name < b.name ? -1 : 1)
  for (const entry of entries) {
    const path = join(below, entry.name)
    if (entry.isDirectory()) {
      if (depth < DEPTH_MAX && !SKIPPED_FOLDERS.has(entry.name)) await collect(folder, path, depth + 1, into)
    } else if (entry.isFile() || (entry.isSymbolicLink() && !await leadsToFolder(join(folder, path)))) {
      into.push(path)
    }
  }
}

async function leadsToFolder (link: string): Promise<boolean> {
  return await stat(link).then(found => found.isDirectory(), () => false)
}
