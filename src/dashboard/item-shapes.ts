// How an item looks on the grid: one colour and one shape a state, so that colour alone never has to tell.

import type { ItemState } from '../protocol/states.ts'

export type Palette = Record<ItemState, string>

export function readPalette (): Palette {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string): string => style.getPropertyValue(name).trim()
  return {
    pending: colour('--waiting'),
    processing: colour('--active'),
    completed: colour('--done'),
    failed: colour('--failed'),
    skipped: colour('--skipped'),
    canceled: colour('--canceled')
  }
}

/**
 * Draws a cell of `size` pixels at (x, y): hollow square = waiting, square that fills = in progress, full square = completed,
 * cross = failed, triangle = skipped, ring = canceled.
 */
export function drawItem (pen: CanvasRenderingContext2D, { state, percent, x, y, size, palette }: {
  state: ItemState | null, percent: number, x: number, y: number, size: number, palette: Palette
}): void {
  const colour = palette[state ?? 'pending']
  pen.fillStyle = pen.strokeStyle = colour
  pen.lineWidth = 1.5
  const round = size / 4
  pen.beginPath()
  switch (state) {
    case 'completed':
      pen.roundRect(x, y, size, size, round)
      return pen.fill()
    case 'processing': {
      pen.roundRect(x + 0.75, y + 0.75, size - 1.5, size - 1.5, round)
      pen.stroke()
      const height = Math.max(0.25, percent / 100) * (size - 5)
      return pen.fillRect(x + 2.5, y + size - 2.5 - height, size - 5, height)
    }
    case 'failed':
      pen.lineWidth = size / 4
      pen.lineCap = 'round'
      pen.moveTo(x + 2, y + 2)
      pen.lineTo(x + size - 2, y + size - 2)
      pen.moveTo(x + size - 2, y + 2)
      pen.lineTo(x + 2, y + size - 2)
      return pen.stroke()
    case 'skipped':
      pen.moveTo(x + 1, y)
      pen.lineTo(x + size, y + size / 2)
      pen.lineTo(x + 1, y + size)
      return pen.fill()
    case 'canceled':
      pen.arc(x + size / 2, y + size / 2, size / 2 - 1.5, 0, Math.PI * 2)
      return pen.stroke()
    default:
      pen.roundRect(x + 0.75, y + 0.75, size - 1.5, size - 1.5, round)
      return pen.stroke()
  }
}
