// Makes docs/dashboard.png: the page of a real job, half-way, light and dark side by side. Needs the demo to run
// (npm start); its address is the first argument.

import { chromium, type Browser } from 'playwright-core'
import { CHROMIUM, ensureProgram } from '../src/demo/system-programs.ts'

const SIZE = { width: 1180, height: 860 }
const HALF_WAY_PERCENT = 40

async function openJob (browser: Browser, address: string, colorScheme: 'light' | 'dark') {
  const context = await browser.newContext({ colorScheme, viewport: SIZE, deviceScaleFactor: 1, locale: 'en-GB' })
  const page = await context.newPage()
  await page.goto(address)
  await page.locator('.job a').first().click()
  await page.locator('.percent').waitFor()
  return page
}

const address = process.argv[2]
if (address === undefined) throw new Error('usage: node scripts/screenshot.ts <address of the dashboard, with its token>')
const browser = await chromium.launch({ executablePath: ensureProgram(CHROMIUM, line => console.log(line)), args: ['--no-sandbox'] })
const [light, dark] = [await openJob(browser, address, 'light'), await openJob(browser, address, 'dark')]
await light.waitForFunction(least => Number.parseFloat(document.querySelector('.percent')?.textContent ?? '0') >= least, HALF_WAY_PERCENT)
const pictures = [await light.screenshot(), await dark.screenshot()].map(picture => `data:image/png;base64,${picture.toString('base64')}`)

// The left half of one, the right half of the other.
const sheet = await (await browser.newContext({ viewport: SIZE })).newPage()
await sheet.setContent(`<style>
  body { margin: 0; width: ${SIZE.width}px; height: ${SIZE.height}px; background: url(${pictures[0]}) }
  div { position: absolute; inset: 0; background: url(${pictures[1]}); clip-path: polygon(64% 0, 100% 0, 100% 100%, 46% 100%) }
</style><div></div>`)
await sheet.screenshot({ path: 'docs/dashboard.png' })
await browser.close()
