// Every call of a logger in the source, read by TypeScript's own parser: events, levels and fields, as far as they stand there.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export interface LogCall {
  /** `src/…:line` */
  at: string
  /** A template's changing part is `*`. */
  events: string[]
  levels: string[]
  fields: string[]
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** What runs in a terminal or browser speaks to people, not to a log. */
const WITHOUT_LOG = /^(cli|client|dashboard|element|react|demo)\//
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']

export function logCalls (): LogCall[] {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts') && !WITHOUT_LOG.test(name))
  return files.sort().flatMap(name => {
    const source = ts.createSourceFile(name, readFileSync(join(ROOT, 'src', name), 'utf8'), ts.ScriptTarget.Latest, true)
    return callsIn(source).map(call => read(call, source))
  })
}

function callsIn (source: ts.SourceFile): ts.CallExpression[] {
  const found: ts.CallExpression[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /\blog(\.(trace|debug|info|warn|error|fatal)|\[[^\]]+\])$/.test(node.expression.getText(source))) found.push(node)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

function read (call: ts.CallExpression, source: ts.SourceFile): LogCall {
  const at = `src/${source.fileName}:${source.getLineAndCharacterOfPosition(call.getStart(source)).line + 1}`
  const text = call.expression.getText(source)
  const direct = /\.(\w+)$/.exec(text)?.[1]
  const levels = direct === undefined ? LEVELS.filter(level => text.includes(`'${level}'`)) : [direct]
  // Fastify puts it into every line of a request.
  const ofRequest = text.startsWith('request.log') ? ['req_id'] : []
  const [first] = call.arguments
  if (first === undefined) throw new Error(`${at}: a log call without fields`)
  const members = membersOf(first, call)
  const event = members.get('event')
  if (event === undefined) throw new Error(`${at}: a log line without an event`)
  return { at, events: textsOf(event), levels, fields: [...ofRequest, ...members.keys()].filter(name => name !== 'event').sort() }
}

/** Of an object that is written there, or of a constant of the same function. */
function membersOf (value: ts.Expression, call: ts.Node): Map<string, ts.Expression> {
  if (ts.isIdentifier(value)) return membersOf(constant(value.text, call), call)
  if (!ts.isObjectLiteralExpression(value)) throw new Error(`fields of a log line that cannot be read: ${value.getText()}`)
  const members = new Map<string, ts.Expression>()
  for (const one of value.properties) {
    if (ts.isSpreadAssignment(one)) for (const [name, its] of membersOf(one.expression, call)) members.set(name, its)
    else if (ts.isPropertyAssignment(one)) members.set(one.name.getText(), one.initializer)
    else if (ts.isShorthandPropertyAssignment(one)) members.set(one.name.text, one.name)
    else throw new Error(`a member of a log line that cannot be read: ${one.getText()}`)
  }
  return members
}

function constant (name: string, from: ts.Node): ts.Expression {
  for (let scope: ts.Node | undefined = from; scope !== undefined; scope = scope.parent) {
    if (!ts.isBlock(scope)) continue
    for (const statement of scope.statements) {
      if (!ts.isVariableStatement(statement)) continue
      const found = statement.declarationList.declarations.find(one => one.name.getText() === name)
      if (found?.initializer !== undefined) return found.initializer
    }
  }
  throw new Error(`there is no constant ${name} near ${from.getText().slice(0, 80)}`)
}

function textsOf (value: ts.Expression): string[] {
  if (ts.isStringLiteral(value)) return [value.text]
  if (ts.isConditionalExpression(value)) return [...textsOf(value.whenTrue), ...textsOf(value.whenFalse)]
  if (ts.isTemplateExpression(value)) return [`${value.head.text}*${value.templateSpans.at(-1)?.literal.text ?? ''}`]
  throw new Error(`an event that cannot be read: ${value.getText()}`)
}
