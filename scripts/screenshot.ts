// Makes docs/screens/*.webp: every state of the dashboard, light, dark and narrow beside each other, from real jobs on a private
// demo that it starts and stops itself; and docs/dashboard.webp, the moving picture of the README. `npm run screenshot -- list`
// makes only the ones that are named.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import { signToken } from '../src/cli/sign-token.ts'
import { startDemo } from '../src/demo/start.ts'
import { CHROMIUM, ensureProgram } from '../src/demo/system-programs.ts'
import { ProgressMonitor } from '../src/worker/index.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const SCREENS = join(ROOT, 'docs/screens')
const WIDE = { width: 1240, height: 1180 }
const NARROW = { width: 400, height: 1180 }
const FRAMES = 56
const WEBP = { title: 'img2webp', names: ['img2webp'], apt: 'webp', elsewhere: { brew: 'brew install webp' }, docker: null }

// Nobody should have to wait half a minute for the picture of a worker that has died.
process.env['HEADWAY_STALL_AFTER_MS'] = '3000'
const data = mkdtempSync(join(tmpdir(), 'headway-screens-'))
let address = ''
const demo = await startDemo({
  data_folder: data,
  redis_url: null,
  host: '127.0.0.1',
  port: 18_765,
  jwt_secret: null,
  supabase: false,
  sample: { folder: join(ROOT, 'node_modules/typescript/lib'), files_max: 5, quality: 4, size_limit_bytes: 65_536, time_limit_ms: 5_000 },
  headway: join(ROOT, 'src/cli/headway.ts'),
  signToken: (secret, tenant) => token(secret, tenant),
  say: line => { address = /Dashboard\s+(\S+)/.exec(line)?.[1] ?? address },
  signal: new AbortController().signal
})
const worker = new ProgressMonitor({ redisUrl: readFileSync(join(data, 'redis-url'), 'utf8'), tenantId: 'demo' })
const origin = new URL(address).origin
const own = address.split('#token=')[1] ?? ''
const other = await token(readFileSync(join(data, 'jwt-secret'), 'utf8'), 'nobody')
const browser = await chromium.launch({ executablePath: ensureProgram(CHROMIUM, line => console.log(line)), args: ['--no-sandbox'] })
mkdirSync(SCREENS, { recursive: true })

function token (secret: string, tenant: string): Promise<string> {
  const scopes = ['jobs:read', 'jobs:control', 'jobs:write']
  return signToken({ secret, tenant_id: tenant, tenant_claim: 'app_metadata.tenant_id', scopes, subject: 'screens', lifetime_s: 3600 })
}

/** What becomes of an item, by its number. */
function fateOf (n: number): 'completed' | 'failed' | 'skipped' {
  return n % 23 === 7 ? 'failed' : n % 17 === 3 ? 'skipped' : 'completed'
}

const ERRORS = ['The codec av2 is not supported: line 1 of the manifest', 'connect ETIMEDOUT 10.0.4.17:443 after 3 tries', 'Moderation refused: the frame at 00:41 is blurred']

interface Work {
  from?: number
  to: number
  /** Every so many; others have the rest. */
  step?: number
  pace_ms?: number
  by?: ProgressMonitor
}

async function work (job: string, { to, from = 0, step = 1, pace_ms: paceMs = 0, by = worker }: Work): Promise<void> {
  for (let n = from; n < to; n += step) {
    const state = fateOf(n)
    const item = { id: `clip-${n}`, row_index: n + 1, title: `Launch clip ${String(n + 1).padStart(3, '0')}.mp4` }
    void by.updateItemProgress(job, { ...item, state: 'processing', percent_complete: 10 })
    if (paceMs > 0) {
      await delay(paceMs * (0.3 + Math.random() * 0.4))
      void by.updateItemProgress(job, { ...item, state: 'processing', percent_complete: 60 })
      await delay(paceMs * (0.3 + Math.random() * 0.4))
    }
    const more = state === 'failed' ? { error: ERRORS[n % ERRORS.length] } : state === 'completed' ? { result: { url: `s3://renders/${n}.mp4` } } : {}
    void by.updateItemProgress(job, { ...item, state, ...more })
  }
  await by.flush()
}

/** As the jobs say of themselves. */
async function fourAtOnce (job: string, to: number, paceMs: number): Promise<void> {
  await Promise.all([0, 1, 2, 3].map(from => work(job, { from, to, step: 4, pace_ms: paceMs })))
}

async function begin (id: string, title: string, total: number, more: object = {}): Promise<void> {
  await worker.registerJob(id, { title, items_total: total, state: 'running', job_kind: 'render', concurrency: 4, ...more })
}

/** Jobs in every state. Each is at work for some seconds, or it would have nothing to show. */
async function fill (): Promise<void> {
  const dying = new ProgressMonitor({ redisUrl: readFileSync(join(data, 'redis-url'), 'utf8'), tenantId: 'demo' })
  await dying.registerJob('silent', { title: 'Posters for the cinema', items_total: 60, state: 'running', job_kind: 'render', concurrency: 1 })
  await begin('done', 'Renders for the spring campaign', 120)
  await begin('lost', 'Subtitles, twelve languages', 48)
  await begin('stopped', 'Thumbnails of the archive', 300)
  await begin('held', 'Bulk upload to the clients’ drive', 200)
  await begin('limited', 'Descriptions by a language model', 90)
  await Promise.all([
    work('silent', { to: 22, pace_ms: 600, by: dying }), fourAtOnce('done', 120, 500), fourAtOnce('lost', 31, 1800),
    fourAtOnce('stopped', 96, 600), fourAtOnce('held', 84, 700), fourAtOnce('limited', 37, 1500)
  ])
  await dying.heartbeat('silent') // only who has sent one is missed
  await dying.close()
  await worker.updateJobState('done', 'completed', 'all items settled')
  await worker.updateJobState('lost', 'failed', 'the storage is full')
  await worker.updateJobState('stopped', 'canceling', 'the wrong folder')
  await worker.updateJobState('stopped', 'canceled', 'the wrong folder')
  await worker.updateJobState('held', 'pausing', 'lunch')
  await worker.updateJobState('held', 'paused', 'lunch')
  await worker.updateJobState('limited', 'rate_limited', null, { retry_at: new Date(Date.now() + 1_800_000).toISOString() })
  await worker.registerJob('later', { title: 'Night run: transcodes', items_total: 500 })
  await begin('large', 'Product images, the whole catalogue', 100_000)
  await work('large', { to: 30_000 })
  void work('large', { from: 30_000, to: 100_000, pace_ms: 12 })
  await begin('live', 'Summer launch: 240 product videos', 240)
  void fourAtOnce('live', 240, 6_000) // longer than all pictures take
}

interface Screen { at: string, ready: (page: Page) => Promise<void>, token?: string | null }

const shown = async (page: Page): Promise<void> => { await page.locator('.percent').waitFor() }
const seconds = (page: Page, s: number): Promise<void> => page.waitForTimeout(s * 1000)

const STATES: Record<string, Screen> = {
  list: { at: '', ready: async page => { await page.locator('.job').nth(6).waitFor() } },
  'list-empty': { at: '', token: other, ready: async page => { await page.getByText('No jobs yet').waitFor() } },
  'list-search': { at: '', ready: async page => { await page.getByRole('searchbox').fill('nothing like it'); await page.getByText('No job like this').waitFor() } },
  'list-filtered': {
    at: '',
    ready: async page => {
      await page.locator('.job').nth(6).waitFor()
      await page.getByRole('button', { name: /^Active/ }).click()
      await page.getByRole('searchbox').fill('product')
      await page.locator('.job').nth(2).waitFor({ state: 'detached' })
    }
  },
  'list-error': {
    at: '',
    ready: async page => {
      const problem = { code: 'redis_unavailable', detail: 'Redis cannot be reached; repeat the request in a moment.', status: 503 }
      await page.route(/\/v1\/jobs/, route => route.fulfill({ status: 503, contentType: 'application/problem+json', json: problem }))
      await page.reload()
      await page.locator('.notice').waitFor()
    }
  },
  loading: {
    at: '/live',
    ready: async page => {
      await page.routeWebSocket(/v1\/ws/, () => {}) // never answers
      await page.reload()
      await page.locator('.skeleton').waitFor()
    }
  },
  running: { at: '/live', ready: async page => { await shown(page); await seconds(page, 3) } },
  paused: { at: '/held', ready: shown },
  'rate-limited': { at: '/limited', ready: shown },
  stalled: { at: '/silent', ready: async page => { await shown(page); await page.locator('.hero').getByText('Stalled').waitFor() } },
  pending: { at: '/later', ready: shown },
  completed: { at: '/done', ready: shown },
  failed: { at: '/lost', ready: async page => { await shown(page); await page.getByRole('tab', { name: /Failures/ }).click(); await page.locator('.failures li').first().waitFor() } },
  canceled: { at: '/stopped', ready: shown },
  'hundred-thousand': {
    at: '/large',
    ready: async page => {
      await shown(page)
      await page.getByRole('listbox').focus()
      for (const key of ['Home', 'PageDown', 'PageUp', 'ArrowDown']) await page.keyboard.press(key)
      await page.locator('.chosen-item').scrollIntoViewIfNeeded()
    }
  },
  cancel: { at: '/live', ready: async page => { await shown(page); await page.getByRole('button', { name: 'Cancel', exact: true }).click(); await page.locator('dialog').waitFor() } },
  unknown: { at: '/nobody', ready: async page => { await page.getByText('no such job').waitFor() } },
  lost: {
    at: '/live',
    ready: async page => {
      await page.routeWebSocket(/v1\/ws/, socket => { setTimeout(() => socket.close({ code: 1012 }), 2500); socket.connectToServer() })
      await page.reload()
      await shown(page)
      await page.routeWebSocket(/v1\/ws/, () => {})
      await page.context().setOffline(true)
      await page.getByText('Connection lost').waitFor()
    }
  },
  'sign-in': { at: '', token: null, ready: async page => { await page.getByLabel('Token').waitFor() } }
}

async function picture ({ at, ready, token: given = own }: Screen, look: { dark: boolean, narrow: boolean }): Promise<string> {
  const context = await browser.newContext({
    colorScheme: look.dark ? 'dark' : 'light', viewport: look.narrow ? NARROW : WIDE, locale: 'en-GB', timezoneId: 'Europe/Zurich'
  })
  const page = await context.newPage()
  await page.goto(given === null ? origin : `${origin}/#token=${given}${at === '' ? '' : `&job=${at.slice(1)}`}`)
  await ready(page)
  await seconds(page, 0.7)
  const image = (await page.screenshot()).toString('base64')
  await context.close()
  return `data:image/png;base64,${image}`
}

/** Beside each other on one picture, as WebP, which Chromium can write. */
async function sheet (pictures: string[], file: string): Promise<void> {
  const page = await (await browser.newContext()).newPage()
  const text = await page.evaluate(async sources => {
    const images = await Promise.all(sources.map(async source => await createImageBitmap(await (await fetch(source)).blob())))
    const gap = 24
    const width = images.reduce((sum, image) => sum + image.width + gap, gap)
    const canvas = new OffscreenCanvas(width, Math.max(...images.map(({ height }) => height)) + 2 * gap)
    const pen = canvas.getContext('2d')
    if (pen === null) throw new Error('no canvas')
    pen.fillStyle = '#8b95a1'
    pen.fillRect(0, 0, canvas.width, canvas.height)
    let x = gap
    for (const image of images) {
      pen.drawImage(image, x, gap)
      x += image.width + gap
    }
    const small = new OffscreenCanvas(canvas.width * 0.6, canvas.height * 0.6)
    const smallPen = small.getContext('2d')
    if (smallPen === null) throw new Error('no canvas')
    smallPen.imageSmoothingQuality = 'high'
    smallPen.drawImage(canvas, 0, 0, small.width, small.height)
    const bytes = new Uint8Array(await (await small.convertToBlob({ type: 'image/webp', quality: 0.82 })).arrayBuffer())
    return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''))
  }, pictures)
  writeFileSync(file, Buffer.from(text, 'base64'))
  await page.context().close()
}

/** A job from its first to its last item. It takes as long as this machine needs for the frames, so that each shows something new. */
async function movie (): Promise<void> {
  const folder = join(data, 'frames')
  mkdirSync(folder)
  await begin('movie', 'Summer launch: 240 product videos', 240, { auto_complete: true })
  const page = await (await browser.newContext({ viewport: { width: 1120, height: 1100 }, locale: 'en-GB' })).newPage()
  await page.goto(`${origin}/#token=${own}&job=movie`)
  await shown(page)
  const from = performance.now()
  for (let n = 0; n < 3; n++) await page.screenshot()
  const frameMs = (performance.now() - from) / 3
  const worked = fourAtOnce('movie', 240, frameMs * (FRAMES - 6) / 60)
  const files: string[] = []
  for (let n = 0; n < FRAMES; n++) {
    files.push(join(folder, `${String(n).padStart(3, '0')}.png`))
    await page.screenshot({ path: files[n] as string })
  }
  await worked
  const args = ['-lossy', '-q', '55', '-m', '4', '-d', '160', ...files, '-d', '2500', files.at(-1) as string, '-o', join(ROOT, 'docs/dashboard.webp')]
  const { status, stderr } = spawnSync(ensureProgram(WEBP, line => console.log(line)), args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

try {
  const wanted = process.argv.slice(2)
  await fill()
  for (const [name, screen] of Object.entries(STATES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const pictures = []
    for (const look of [{ dark: false, narrow: false }, { dark: true, narrow: false }, { dark: name.length % 2 === 0, narrow: true }]) {
      pictures.push(await picture(screen, look))
    }
    await sheet(pictures, join(SCREENS, `${name}.webp`))
    console.log(name)
  }
  if (wanted.length === 0 || wanted.includes('movie')) await movie()
} finally {
  await browser.close()
  await worker.close()
  await demo.stop()
  rmSync(data, { recursive: true, force: true })
}
process.exit(0)
