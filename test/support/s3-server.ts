import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { s3Server } from '../../scripts/interop/tools.ts'
import { freePort } from '../../scripts/support/free-port.ts'

/** Why tests that need S3 are skipped; false where it is installed. */
export const withoutS3 =
  !existsSync(s3Server) && 'no S3 server is here; npm run test:s3 installs it'

/** An S3 server of a test's own. */
export interface S3Server {
  /** Such as `http://127.0.0.1:7070`. */
  endpoint: string
  /** Where its objects lie: `BUCKET/KEY` below it. */
  folder: string
  /** Environment for a process that uses it: credentials, endpoint and region. */
  env: Record<string, string>
  /** Makes a bucket and answers its name. */
  makeBucket: () => Promise<string>
}

/** What the secret is, so that tests can look for it where it must not be. */
export const secret = 's3cr3t-key-of-the-tests'
const credentials = { AWS_ACCESS_KEY_ID: 'tester', AWS_SECRET_ACCESS_KEY: secret }

/** Starts an S3 server for the life of a test. The SDK in this process gets its credentials. */
export async function startS3Server(t: Test): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), 'dw-s3-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const { child, address } = await spawnServer(folder)
  t.teardown(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const endpoint = `http://${address}`
  Object.assign(process.env, credentials)
  return {
    endpoint,
    folder,
    env: { ...credentials, S3_ENDPOINT: endpoint, S3_REGION: 'us-east-1' },
    async makeBucket() {
      const bucket = `bucket-${randomUUID()}`
      await mkdir(join(folder, bucket))
      return bucket
    },
  }
}

/** It takes no port 0, so another process may take the port that was found free. */
async function spawnServer(folder: string): Promise<{ child: ChildProcess; address: string }> {
  for (let attempt = 1; ; attempt++) {
    const address = `127.0.0.1:${await freePort()}`
    const args = ['--quiet', '--keep-alive', '--port', address, 'posix', folder]
    const child = spawn(s3Server, args, {
      env: { ROOT_ACCESS_KEY: credentials.AWS_ACCESS_KEY_ID, ROOT_SECRET_KEY: secret },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const stderr = text(child.stderr)
    while (child.exitCode === null) {
      if (await answers(`http://${address}`)) return { child, address }
      await sleep(20)
    }
    if (attempt === 3) throw new Error(`The S3 server ended: ${await stderr}`)
  }
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    async (response) => (await response.text()).includes('AccessDenied'),
    () => false,
  )
}
