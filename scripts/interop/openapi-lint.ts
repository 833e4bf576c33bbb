import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Tools } from './tools.ts'

const document = fileURLToPath(new URL('../../openapi/openapi.json', import.meta.url))

interface Report {
  totals: { errors: number; warnings: number; ignored: number }
  problems: { ruleId: string; message: string; location: { pointer?: string }[] }[]
}

/** Paths that only seem ambiguous: no namespace may be called "transactions", which the rule cannot see. */
const apart =
  /^Paths should resolve unambiguously\. Found two ambiguous paths: `\/state\/\{namespace\}\/\w+` and `\/state\/transactions\/\{txId\}`/

/** Checks the committed document by Redocly's recommended rules; answers every fault, warnings included. */
export async function lintOpenApi({ npm }: Tools): Promise<string[]> {
  const program = join(npm, 'node_modules', '@redocly', 'cli', 'bin', 'cli.js')
  const args = ['lint', '--extends', 'recommended', '--format', 'json', document]
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
  // It ends with 1 where there are errors; the report is the same.
  const running = promisify(execFile)(process.execPath, [program, ...args], { cwd: npm, env })
  const { stdout } = await running.catch((error: { stdout: string }) => error)
  const { problems, totals } = JSON.parse(stdout) as Report
  if (problems.length < totals.errors + totals.warnings) throw new Error('the report is cut short')
  const faults = problems.filter(({ message }) => !apart.test(message))
  return faults.map(
    ({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer ?? ''}`,
  )
}
