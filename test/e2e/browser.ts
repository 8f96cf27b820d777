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
  // Colours on their way would be measured half-way; what beats for ever never arrives and is left alone.
  await page.evaluate(async () => {
    const passing = document.getAnimations().filter(({ effect }) => effect?.getComputedTiming().iterations !== Infinity)
    await Promise.allSettled(passing.map(({ finished }) => finished))
  })
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

/** How a page is looked at. The narrow one is what 1280 pixels are at a zoom of 400 %. */
export const LOOKS = {
  light: { colorScheme: 'light', reducedMotion: 'no-preference', width: 1280 },
  dark: { colorScheme: 'dark', reducedMotion: 'no-preference', width: 1280 },
  'narrow, without motion': { colorScheme: 'light', reducedMotion: 'reduce', width: 320 },
  'narrow and dark': { colorScheme: 'dark', reducedMotion: 'reduce', width: 320 }
} as const

/** What makes a page wider than its window; what scrolls or is cut inside of something does not. */
async function sticksOut (page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const root = document.documentElement
    if (root.scrollWidth <= innerWidth) return []
    const wide = [...document.querySelectorAll('body *')].filter(element => element.getBoundingClientRect().right > innerWidth + 0.5)
    return [`${root.scrollWidth} pixels wide: ${wide.map(({ tagName, className }) => `${tagName}.${String(className)}`).slice(0, 6).join(' ')}`]
  })
}

/** What is wrong with a page in any of the looks: barriers, what sticks out, what moves though it should not. */
export async function barriersInEveryLook (page: Page): Promise<string[]> {
  const wrong: string[] = []
  for (const [name, { colorScheme, reducedMotion, width }] of Object.entries(LOOKS)) {
    await page.emulateMedia({ colorScheme, reducedMotion })
    await page.setViewportSize({ width, height: 900 })
    const found = await barriers(page)
    found.push(...await sticksOut(page))
    if (reducedMotion === 'reduce' && await page.evaluate(() => document.getAnimations().length > 0)) found.push('something moves')
    wrong.push(...found.map(one => `${name}: ${one}`))
  }
  return wrong
}
