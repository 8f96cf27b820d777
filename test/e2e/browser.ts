// One Chromium for the tests of a file, and what every page of them is asked.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { CHROMIUM, findProgram } from '../../src/demo/system-programs.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export async function startBrowser (t: Test): Promise<Browser> {
  const executablePath = findProgram(CHROMIUM.names)
  if (executablePath === null) throw new Error('Chromium is not installed: node scripts/ensure-system.ts')
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
  t.teardown(() => browser.close())
  return browser
}

/** A page whose complaints (script errors, refused by the content security policy, missing files) are kept. */
export async function openPage (browser: Browser, options: BrowserContextOptions = {}): Promise<{ page: Page, complaints: string[] }> {
  const page = await (await browser.newContext(options)).newPage()
  const complaints: string[] = []
  page.on('pageerror', error => { complaints.push(error.message) })
  page.on('console', message => { if (message.type() === 'error') complaints.push(message.text()) })
  return { page, complaints }
}

export async function progressOf (page: Page): Promise<number> {
  return Number(await page.getByRole('progressbar', { name: 'Progress', exact: true }).getAttribute('aria-valuenow'))
}

/** What axe-core finds that is serious or critical: rule and element. */
export async function barriers (page: Page): Promise<string[]> {
  // Not by a script element: the page's policy would refuse it, as it should.
  await page.evaluate(AXE)
  return await page.evaluate(async () => {
    interface Found { violations: { id: string, impact: string, nodes: { html: string }[] }[] }
    const { axe } = globalThis as unknown as { axe: { run (): Promise<Found> } }
    const { violations } = await axe.run()
    return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`))
  })
}
