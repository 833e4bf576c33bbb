#!/usr/bin/env node
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import pino, { type DestinationStream, type Logger } from 'pino'
import { type Config, ConfigError, loadConfig } from './config.ts'
import { Problem } from './problems.ts'
import type { Workplace } from './server.ts'
import { StartError } from './start-error.ts'
import { version } from './version.ts'

const help = `Deltaworks ${version} keeps a data pipeline's writes to Delta Lake tables safe.

Usage: deltaworks <command>

  serve                  start the server; without DATABASE_URL on an embedded PostgreSQL in DATA_DIR
  import NAME LOCATION   take over a Delta table that others have written, below MIRROR_ROOTS
  verify TABLE           hold the log of a table against the database; ends with 1 where they differ
  migrate                bring the database's schema up to date, then exit
  openapi                print the OpenAPI document
  version                print the version

Options:
  -h, --help   print this

Settings are environment variables; .env.example lists them all.
`

// Each command loads what it needs by itself, so that one that is used wrongly says so at once.

/** Runs the command line and answers the exit code: 0 done, 1 failed, 2 used wrongly. */
async function run(args: string[]): Promise<number> {
  const { command, operands, wantsHelp } = readArguments(args)
  if (wantsHelp) {
    process.stdout.write(help)
    return 0
  }
  switch (command) {
    case 'serve':
      return serve(loadConfig(process.env))
    case 'import':
      return importOne(operands)
    case 'verify':
      return verifyOne(operands)
    case 'migrate':
      return migrateOnly(loadConfig(process.env))
    case 'openapi':
      return printOpenApi()
    case 'version':
      process.stdout.write(`${version}\n`)
      return 0
    default:
      throw new UsageError(
        command === undefined ? 'A command is required.' : `There is no command "${command}".`,
      )
  }
}

class UsageError extends Error {}

/** What stands behind a command. */
const operandNames: Record<string, readonly string[]> = {
  import: ['NAME', 'LOCATION'],
  verify: ['TABLE'],
}

function readArguments(args: string[]): {
  command: string | undefined
  operands: string[]
  wantsHelp: boolean
} {
  try {
    const { values, positionals } = parseArgs({
      args,
      options: { help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    })
    const [command, ...operands] = positionals
    const names = operandNames[command ?? ''] ?? []
    const [surplus] = operands.slice(names.length)
    if (surplus !== undefined) throw new UsageError(`"${surplus}" is one word too many.`)
    const wantsHelp = values.help ?? false
    if (operands.length < names.length && !wantsHelp) {
      throw new UsageError(`${command} needs ${names.join(' and ')}.`)
    }
    return { command, operands, wantsHelp }
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function createLog(config: Config, to: DestinationStream = pino.destination(1)): Logger {
  return pino({ level: config.logLevel, timestamp: pino.stdTimeFunctions.isoTime }, to)
}

/** Serves until a signal to stop comes, or what it stands on is lost. */
async function serve(config: Config): Promise<number> {
  const { startServer } = await import('./server.ts')
  const log = createLog(config)
  const { promise: ended, resolve: end } = Promise.withResolvers<number>()
  let isStopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'stopping')
      isStopping = true
      end(0)
    })
  }
  const starting = startServer(config, log, (error) => {
    log.fatal({ err: error }, error.message)
    end(1)
  })
  const server = await starting.catch((error) => {
    // Ctrl-C also reaches what the start has under way.
    if (isStopping) return undefined
    throw error
  })
  if (server === undefined) return 0
  process.stdout.write(
    `Deltaworks ${version} listens on ${server.address}, Swagger UI on ${server.address}/docs\n`,
  )
  const code = await ended
  await server.stop()
  return code
}

async function printOpenApi(): Promise<number> {
  const { describeApi } = await import('./describe-api.ts')
  process.stdout.write(await describeApi())
  return 0
}

/** Takes over a table; a location that is no URI is one of this machine. */
async function importOne([name = '', given = '']: string[]): Promise<number> {
  const location = /^[a-z][a-z0-9+.-]*:/i.test(given) ? given : resolve(given)
  const { runImport } = await import('./tables/import/import-command.ts')
  await inWorkplace((workplace) => runImport(workplace, { name, location }, process.stdout))
  return 0
}

async function verifyOne([table = '']: string[]): Promise<number> {
  const { runVerify } = await import('./mirror/verify/verify-command.ts')
  const isSame = await inWorkplace((workplace) => runVerify(workplace, table, process.stdout))
  return isSame ? 0 : 1
}

/** What a command has to say goes to standard output, so its log goes to the other, and tells of faults alone. */
async function inWorkplace<Result>(
  work: (workplace: Workplace) => Promise<Result>,
): Promise<Result> {
  const config = loadConfig({ ...process.env, LOG_LEVEL: process.env['LOG_LEVEL'] || 'warn' })
  const { withWorkplace } = await import('./server.ts')
  return withWorkplace(config, createLog(config, process.stderr), work)
}

async function migrateOnly(config: Config): Promise<number> {
  const { migrateDatabase, openDatabase } = await import('./server.ts')
  const log = createLog(config)
  const database = await openDatabase(config, log, (error) =>
    log.fatal({ err: error }, error.message),
  )
  try {
    await migrateDatabase(config, database.connection, log)
  } finally {
    await database.close()
  }
  return 0
}

try {
  process.exitCode = await run(process.argv.slice(2))
} catch (error) {
  const isUsage = error instanceof UsageError || error instanceof ConfigError
  const { message, stack } = error as Error
  const isPlain = isUsage || error instanceof StartError || error instanceof Problem
  process.stderr.write(`${isPlain ? message : stack}\n`)
  if (error instanceof UsageError) process.stderr.write('See deltaworks --help.\n')
  process.exitCode = isUsage ? 2 : 1
}
