#!/usr/bin/env node
import { parseArgs } from 'node:util'
import pino, { type Logger } from 'pino'
import { type Config, ConfigError, loadConfig } from './config.ts'
import { describeApi } from './describe-api.ts'
import { migrateDatabase, openDatabase, StartError, startServer } from './server.ts'
import { version } from './version.ts'

const help = `Deltaworks ${version} keeps a data pipeline's writes to Delta Lake tables safe.

Usage: deltaworks <command>

  serve     start the server; without DATABASE_URL on an embedded PostgreSQL in DATA_DIR
  migrate   bring the database's schema up to date, then exit
  openapi   print the OpenAPI document
  version   print the version

Options:
  -h, --help   print this

Settings are environment variables; .env.example lists them all.
`

/** Runs the command line and answers the exit code: 0 done, 1 failed, 2 used wrongly. */
async function run(args: string[]): Promise<number> {
  const { command, wantsHelp } = readArguments(args)
  if (wantsHelp) {
    process.stdout.write(help)
    return 0
  }
  switch (command) {
    case 'serve':
      return serve(loadConfig(process.env))
    case 'migrate':
      return migrateOnly(loadConfig(process.env))
    case 'openapi':
      process.stdout.write(await describeApi())
      return 0
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

function readArguments(args: string[]): { command: string | undefined; wantsHelp: boolean } {
  try {
    const { values, positionals } = parseArgs({
      args,
      options: { help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    })
    if (positionals.length > 1) throw new UsageError(`"${positionals[1]}" is one word too many.`)
    return { command: positionals[0], wantsHelp: values.help ?? false }
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function createLog(config: Config): Logger {
  return pino({ level: config.logLevel, timestamp: pino.stdTimeFunctions.isoTime })
}

/** Serves until a signal to stop comes, or what it stands on is lost. */
async function serve(config: Config): Promise<number> {
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

async function migrateOnly(config: Config): Promise<number> {
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
  const isPlain = isUsage || error instanceof StartError
  process.stderr.write(`${isPlain ? message : stack}\n`)
  if (error instanceof UsageError) process.stderr.write('See deltaworks --help.\n')
  process.exitCode = isUsage ? 2 : 1
}
